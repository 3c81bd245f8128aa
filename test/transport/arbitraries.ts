import fc from 'fast-check'
import type { Descriptor, NodeInfo } from '../../src/base/descriptor.js'
import { errorCodes } from '../../src/base/errors.js'
import type { BootId, ClusterId, Key, SessionId, Version } from '../../src/base/ids.js'
import type { NodeStatus, Reply, ReplyError, Request, Route, Row } from '../../src/kv/requests.js'
import {
  type Bookkeeping,
  type Condition,
  codecs,
  type FailedCondition,
  type Origin,
  type Write,
} from '../../src/kv/types.js'
import type { Entry } from '../../src/raft/types.js'
import type { PeerMessage } from '../../src/store/ports.js'

/** Everything that travels, drawn at random; integers up to 2^53 - 1. */

const count = fc.oneof(fc.nat(300), fc.maxSafeNat())
const id = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
const binary = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1') as Key)
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const codec = fc.constantFrom(...codecs)
const version = count as fc.Arbitrary<Version>
const sometimes = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null })
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 4 })
const record = <T>(fields: { [Field in keyof T]: fc.Arbitrary<T[Field]> }): fc.Arbitrary<T> =>
  fc.record(fields as never) as fc.Arbitrary<T>
/** Branded ids are plain numbers here. */
const branded = <T>(arbitrary: fc.Arbitrary<number>): fc.Arbitrary<T> => arbitrary as unknown as fc.Arbitrary<T>

export const cluster = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((each) => Buffer.from(each).toString('hex') as ClusterId)
export const node = record<NodeInfo>({
  node: branded(id),
  clientAddress: fc.nat(65_535).map((port) => `10.0.0.1:${port}`),
  peerAddress: fc.nat(65_535).map((port) => `[::1]:${port}`),
  pid: count,
})
export const descriptor: fc.Arbitrary<Descriptor> = record<Descriptor>({
  range: branded(id),
  span: fc.tuple(binary, sometimes(binary)).map(([a, b]) => {
    if (b === null || a === b) return { start: a, end: null }
    return a < b ? { start: a, end: b } : { start: b, end: a }
  }),
  generation: branded(count),
  epoch: count,
  replicas: some(
    record({
      replica: branded(id),
      node: branded(id),
      role: fc.constantFrom('voter', 'learner', 'incoming', 'outgoing'),
    }),
  ),
  nextReplica: branded(id),
})

const origin = sometimes(
  record<Origin>({
    session: fc.constantFrom('AAAAAAAAAAAAAAAAAAAAAA', 'b_-3456789012345678901') as unknown as fc.Arbitrary<SessionId>,
    sequence: count,
    firstSent: version,
    lowest: count,
  }),
)
const condition: fc.Arbitrary<Condition> = fc.oneof(
  record({ kind: fc.constant('version' as const), key: binary, version }),
  record({ kind: fc.constant('absent' as const), key: binary }),
  record({ kind: fc.constant('value' as const), key: binary, codec, value: bytes }),
)
const write: fc.Arbitrary<Write> = fc.oneof(
  record({ kind: fc.constant('put' as const), key: binary, codec, value: bytes }),
  record({ kind: fc.constant('delete' as const), key: binary }),
)
const common = {
  id: count,
  range: branded<never>(count),
  generation: branded<never>(count),
  deadlineMs: count,
  seen: version,
}
const weak = fc.oneof(
  fc.constant(undefined),
  record({ kind: fc.constantFrom('leaderLease' as const, 'follower' as const) }),
  record({ kind: fc.constant('stale' as const), maxStaleMs: count }),
)
export const request: fc.Arbitrary<Request> = fc.oneof(
  record({ kind: fc.constant('get' as const), ...common, keys: some(binary), weak }),
  record({
    kind: fc.constant('scan' as const),
    ...common,
    start: binary,
    end: sometimes(binary),
    reverse: fc.boolean(),
    limit: count,
    bytesMax: count,
    at: sometimes(version),
    keysOnly: fc.boolean(),
    weak,
  }),
  record({
    kind: fc.constant('write' as const),
    ...common,
    origin,
    conditions: some(condition),
    writes: some(write),
    wantValue: fc.boolean(),
  }),
  record({ kind: fc.constant('split' as const), ...common, origin, at: binary }),
  record({ kind: fc.constant('transfer' as const), ...common, to: branded<never>(count) }),
  record({ kind: fc.constant('routes' as const), id: count, deadlineMs: count, from: binary, limit: count }),
  record({ kind: fc.constant('status' as const), id: count, deadlineMs: count }),
)

const row = record<Row>({ key: binary, version: branded(id), codec, value: bytes })
const route = record<Route>({ descriptor, leader: sometimes(branded(id)) })
const failed = record<FailedCondition>({ key: binary, version, value: sometimes(bytes), codec })
const error = record<ReplyError>({
  code: fc.constantFrom(...errorCodes),
  message: fc.string({ unit: 'grapheme' }),
  retryAfterMs: sometimes(count),
  routes: some(route),
  failed: some(failed),
})
const status = record<NodeStatus>({
  cluster,
  node,
  nodes: some(node),
  replicas: some(
    record({
      descriptor,
      replica: branded(id),
      role: fc.constantFrom('follower', 'preCandidate', 'candidate', 'leader'),
      term: branded(count),
      leader: sometimes(branded(id)),
      applied: branded(count),
      commit: branded(count),
      lastIndex: branded(count),
      hasState: fc.boolean(),
      digest: count,
    }),
  ),
  uptimeMs: count,
  overlayBytes: count,
  logBytes: count,
})
const head = { id: count, version }
export const reply: fc.Arbitrary<Reply> = fc.oneof(
  record({ ...head, kind: fc.constant('rows' as const), rows: some(sometimes(row)) }),
  record({ ...head, kind: fc.constant('page' as const), rows: some(row), more: fc.boolean() }),
  record({ ...head, kind: fc.constant('written' as const), deleted: some(fc.boolean()) }),
  record({ ...head, kind: fc.constant('split' as const), child: branded<never>(id) }),
  record({ ...head, kind: fc.constant('transferred' as const) }),
  record({ ...head, kind: fc.constant('routes' as const), routes: some(route), nodes: some(node) }),
  record({ ...head, kind: fc.constant('status' as const), status }),
  record({ ...head, kind: fc.constant('error' as const), error }),
)

export const BOOT = 77 as BootId
const envelope = {
  range: branded<never>(id),
  from: branded<never>(id),
  to: branded<never>(id),
  boot: fc.constant(BOOT),
  term: branded<never>(count),
}
const index = branded<never>(count)
const small = fc.nat(1_000)
const append = fc
  .tuple(
    small,
    some(fc.tuple(branded<never>(id), version, fc.constantFrom('noop', 'commands', 'configuration'), bytes)),
  )
  .map(([previous, entries]) => ({
    previousIndex: previous as never,
    entries: entries.map(
      ([term, timestamp, kind, payload], i) =>
        ({ index: previous + 1 + i, term, timestamp, kind, payload }) as unknown as Entry,
    ),
  }))
const between = { range: branded<never>(id), from: branded<never>(id), to: branded<never>(id) }
const about = { range: branded<never>(id), replica: branded<never>(id) }
const entry = record({
  index: branded<never>(id),
  term: branded<never>(id),
  timestamp: version,
  kind: fc.constantFrom('noop', 'commands', 'configuration'),
  payload: bytes,
}) as fc.Arbitrary<Entry>
const bookkeeping = record<Bookkeeping>({
  descriptor,
  clock: version,
  sessionFloor: version,
  collectionFloor: version,
  rangeVersion: count,
  lineage: some(record({ range: branded<never>(id), to: version })),
  splits: some(record({ index: branded<never>(id), term: branded<never>(id) })),
  digest: count,
})
const type = <Type extends string>(name: Type) => ({ type: fc.constant(name), ...envelope })
export const peerMessage: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc
    .tuple(append, record({ ...type('append'), previousTerm: index, commit: index, allPersisted: index }))
    .map(([entries, rest]) => ({ ...rest, ...entries })),
  record({ ...type('appendAccepted'), matchIndex: index }),
  record({
    ...type('appendRejected'),
    rejectedIndex: index,
    hintIndex: index,
    hintTerm: index,
    needsSnapshot: fc.boolean(),
  }),
  record({ ...type('heartbeat'), commit: index, allPersisted: index, round: count }),
  record({ ...type('heartbeatReply'), round: count, lastIndex: index, needsSnapshot: fc.boolean() }),
  record(type('timeoutNow')),
  record({ ...type('preVote'), lastIndex: index, lastTerm: index }),
  record({ ...type('preVoteReply'), granted: fc.boolean() }),
  record({ ...type('vote'), lastIndex: index, lastTerm: index, transfer: fc.boolean() }),
  record({ ...type('voteReply'), granted: fc.boolean() }),
  record({ type: fc.constant('report' as const), descriptors: some(descriptor), nodes: some(node) }),
  record({ type: fc.constant('allocate' as const), request: count, count }),
  record({ type: fc.constant('allocated' as const), request: count, first: sometimes(count) }),
  record({ type: fc.constant('advance' as const), ...between, version }),
  record({ type: fc.constant('fetchEntry' as const), ...between, index: branded<never>(id), term: branded<never>(id) }),
  record({
    type: fc.constant('fetchedEntry' as const),
    ...between,
    index: branded<never>(id),
    entry: fc.constant(null),
  }),
  record({ type: fc.constant('fetchedEntry' as const), ...between, entry }).map((message) => ({
    ...message,
    index: message.entry.index,
  })),
  record({ type: fc.constant('digest' as const), ...between, index: branded<never>(id), digest: count }),
  record({
    type: fc.constant('snapshotOffer' as const),
    ...between,
    term: branded<never>(count),
    id: count,
    index: branded<never>(id),
    entryTerm: branded<never>(id),
    timestamp: version,
    bookkeeping,
  }),
  record({ type: fc.constant('snapshotPull' as const), ...between, id: count, sequence: id }),
  record({
    type: fc.constant('snapshotChunk' as const),
    ...between,
    id: count,
    sequence: id,
    last: fc.boolean(),
    bytes,
  }),
  record({
    type: fc.constant('snapshotRefused' as const),
    ...between,
    id: count,
    reason: fc.string({ unit: 'grapheme' }),
  }),
  record({ type: fc.constantFrom('absent' as const, 'removed' as const), ...about }),
  record({ type: fc.constant('place' as const), replica: branded<never>(id), descriptor, nonce: sometimes(count) }),
  record({ type: fc.constant('vacant' as const), ...about, nonce: count }),
)
