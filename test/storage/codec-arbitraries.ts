import fc from 'fast-check'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { Key, SessionId, Version } from '../../src/base/ids.js'
import type { Command, JournalRecord, Origin, Outcome, StateRecord } from '../../src/kv/types.js'
import { codecs } from '../../src/kv/types.js'

export const anyVersion = fc.maxSafeNat() as fc.Arbitrary<Version>
/** Favours the bytes that escaping is about, and long keys. */
export const anyKey = fc
  .oneof(fc.array(fc.constantFrom(0, 1, 2, 0xfe, 0xff, 97), { maxLength: 8 }), fc.array(fc.nat(255), { maxLength: 60 }))
  .map((bytes) => String.fromCharCode(...bytes) as Key)
export const anyValue = fc.uint8Array({ maxLength: 300 })
export const anyCodec = fc.constantFrom(...codecs)
const anyNumber = fc.oneof(fc.nat(300), fc.maxSafeNat())

export const anyOrigin: fc.Arbitrary<Origin> = fc.record({
  session: fc.constantFrom('session-a', 'session-b', 'session-c') as fc.Arbitrary<SessionId>,
  sequence: anyNumber,
  firstSent: anyVersion,
  lowest: anyNumber,
})

const anyReplica = fc.record({
  replica: anyNumber,
  node: anyNumber,
  role: fc.constantFrom('voter', 'learner', 'incoming', 'outgoing'),
})

export const anyDescriptor = fc.record({
  range: anyNumber,
  span: fc.record({ start: anyKey, end: fc.option(anyKey) }),
  generation: anyNumber,
  epoch: anyNumber,
  replicas: fc.array(anyReplica),
  nextReplica: anyNumber,
}) as unknown as fc.Arbitrary<Descriptor>

const anyNode = fc.record({ node: anyNumber, clientAddress: fc.string(), peerAddress: fc.string(), pid: anyNumber })

const anyCondition = fc.oneof(
  fc.record({ kind: fc.constant('version'), key: anyKey, version: anyVersion }),
  fc.record({ kind: fc.constant('absent'), key: anyKey }),
  fc.record({ kind: fc.constant('value'), key: anyKey, codec: anyCodec, value: anyValue }),
)

const anyWrite = fc.oneof(
  fc.record({ kind: fc.constant('put'), key: anyKey, codec: anyCodec, value: anyValue }),
  fc.record({ kind: fc.constant('delete'), key: anyKey }),
)

export const anyCommand = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      version: anyVersion,
      origin: fc.option(anyOrigin),
      generation: anyNumber,
      conditions: fc.array(anyCondition, { maxLength: 4 }),
      writes: fc.array(anyWrite, { maxLength: 4 }),
      wantValue: fc.boolean(),
    }),
  },
  fc.record({
    kind: fc.constant('split'),
    version: anyVersion,
    origin: fc.option(anyOrigin),
    generation: anyNumber,
    at: anyKey,
    child: anyNumber,
  }),
  fc.record({ kind: fc.constant('sessionFloor'), version: anyVersion, floor: anyVersion }),
  fc.record({
    kind: fc.constant('publish'),
    version: anyVersion,
    descriptors: fc.array(anyDescriptor, { maxLength: 3 }),
    nodes: fc.array(anyNode, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('allocate'),
    version: anyVersion,
    counter: fc.constantFrom('range', 'node'),
    count: anyNumber,
    token: fc.option(fc.string({ unit: 'grapheme' })),
  }),
  fc.record({
    kind: fc.constant('replicas'),
    version: anyVersion,
    epoch: anyNumber,
    replicas: fc.array(anyReplica, { maxLength: 5 }),
    nextReplica: anyNumber,
  }),
  fc.record({ kind: fc.constant('collectionFloor'), version: anyVersion, floor: anyVersion }),
  fc.record({ kind: fc.constant('digest'), version: anyVersion }),
) as unknown as fc.Arbitrary<Command>

export const anyRecord: fc.Arbitrary<StateRecord> = fc.record({
  key: anyKey,
  version: anyVersion,
  codec: anyCodec,
  value: fc.option(anyValue),
})

const anyFailed = fc.record({ key: anyKey, version: anyVersion, value: fc.option(anyValue), codec: anyCodec })

export const anyOutcome = fc.oneof(
  fc.record({ kind: fc.constant('written'), version: anyVersion, deleted: fc.array(fc.boolean(), { maxLength: 20 }) }),
  fc.record({
    kind: fc.constant('conditionFailed'),
    version: anyVersion,
    failed: fc.array(anyFailed, { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('split'), version: anyVersion, child: anyNumber }),
  fc.record({ kind: fc.constant('done'), version: anyVersion }),
  fc.record({ kind: fc.constant('allocated'), version: anyVersion, first: anyNumber }),
  fc.record({ kind: fc.constant('rangeMoved') }),
  fc.record({ kind: fc.constant('sessionExpired'), version: anyVersion }),
  fc.record({ kind: fc.constantFrom('invalid', 'notNow'), reason: fc.string({ unit: 'grapheme' }) }),
) as unknown as fc.Arbitrary<Outcome>

export const anyJournal: fc.Arbitrary<JournalRecord> = fc.record({
  timestamp: anyVersion,
  outcomes: fc.array(fc.record({ origin: anyOrigin, outcome: anyOutcome }), { maxLength: 6 }),
  changes: fc.array(fc.record({ key: anyKey, version: anyVersion }), { maxLength: 6 }),
})
