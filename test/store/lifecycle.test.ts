import { describe, expect, it } from 'vitest'
import type { LogIndex, RangeId, ReplicaId, StorageId, Term } from '../../src/base/ids.js'
import { silentLogger } from '../../src/base/ports.js'
import type { Checkpoint } from '../../src/storage/types.js'
import { Lifecycle, type LifecycleParts } from '../../src/store/lifecycle.js'
import type { SnapshotOfferMessage } from '../../src/store/ports.js'
import type { Replica } from '../../src/store/replica.js'
import { k, v } from './requests.js'

const range = 2 as RangeId
const span = { start: k('a'), end: k('z') }
const offer = {
  range,
  index: 9 as LogIndex,
  entryTerm: 2 as Term,
  timestamp: v(50),
  bookkeeping: {
    descriptor: { range, span, replicas: [{ replica: 1, node: 1, role: 'voter' }] },
    clock: v(50),
    sessionFloor: v(0),
    lineage: [],
  },
} as unknown as SnapshotOfferMessage

interface FakeParts {
  readonly range?: number
  readonly storages?: readonly number[]
  readonly isCheckpointed?: boolean
  readonly cutFrom?: number
}

function replicaOf(parts: FakeParts = {}) {
  const { storages = [1], isCheckpointed = true, cutFrom } = parts
  const fake = {
    range: (parts.range ?? 2) as RangeId,
    id: 1 as ReplicaId,
    storages: storages.map((storage) => ({ span, storage })),
    isCheckpointed,
    lineage: cutFrom === undefined ? [] : [{ range: cutFrom, to: v(1) }],
    get hasState() {
      return fake.storages.length > 0
    },
    overlaps: () => false,
    takeTicks: () => {},
    goesOnBefore: (_: SnapshotOfferMessage) => false,
    raft: { restore: () => true, configuration: { voters: [1, 2, 3], outgoing: [], learners: [] } },
    install: (state: { storages: { span: typeof span; storage: number }[] }) => {
      fake.storages = state.storages
    },
    loseState: () => {
      fake.storages = []
    },
    checkpoint: () => ({ storages: fake.storages, applied: { index: 9 } }) as unknown as Checkpoint,
    checkpointWritten: () => {},
    remove: () => {},
  }
  return fake
}

/** A lifecycle on ports that note what they are told in order, and end what they began when the test says so. */
function lifecycle(...fakes: ReturnType<typeof replicaOf>[]) {
  const told: string[] = []
  const syncs: (() => void)[] = []
  const batches: (() => void)[] = []
  const replicas = new Map(fakes.map((fake) => [fake.range, fake as unknown as Replica]))
  const parts = {
    replicas,
    factory: { empty: () => replicaOf({ storages: [] }) },
    log: { tombstones: new Map() },
    writer: {
      nextStorage: 8,
      tombstone: ({ lowest }: { lowest: number }, done: () => void) => {
        told.push(`tombstone ${lowest}`)
        batches.push(done)
      },
      checkpoints: ([{ checkpoint }]: [{ checkpoint: Checkpoint }], done: () => void) => {
        told.push(`checkpoint of ${checkpoint.storages.map(({ storage }) => storage).join()}`)
        batches.push(done)
      },
    },
    state: {
      journal: (_: unknown, __: unknown, done: (whole: boolean) => void) => done(true),
      dropStorage: (storage: StorageId) => told.push(`drop ${storage}`),
      healedJournal: (healed: RangeId) => told.push(`healed ${healed}`),
    },
    stateSync: {
      start: (done: () => void) => {
        told.push('sync')
        syncs.push(done)
      },
    },
    codec: { recordDigest: () => 0 },
    logger: silentLogger,
    touch: () => {},
    onStateGone: () => told.push('gone'),
    onChild: () => told.push('child'),
  } as unknown as LifecycleParts
  const end = (list: (() => void)[]) => {
    for (const done of list.splice(0)) done()
  }
  return { life: new Lifecycle(parts), replicas, told, synced: () => end(syncs), durable: () => end(batches) }
}

describe('a replica that is removed', () => {
  it('leaves its tombstone only behind a state sync, and its storage goes only behind the tombstone', () => {
    const replica = replicaOf()
    const { life, told, synced, durable, replicas } = lifecycle(replica)
    life.remove(replica as unknown as Replica)
    expect([told, replicas.size]).toEqual([['gone', 'sync'], 0])
    synced()
    expect(told.slice(2)).toEqual(['tombstone 2'])
    durable()
    expect(told.slice(3)).toEqual(['drop 1'])
    expect(life.lowestAllowed(range)).toBe(2)
  })

  it("keeps the storage that it shares with a split's other half", () => {
    const replica = replicaOf()
    const { life, told, synced, durable } = lifecycle(replica, replicaOf({ range: 3 }))
    life.remove(replica as unknown as Replica)
    synced()
    durable()
    expect(told).not.toContain('drop 1')
  })
})

describe('a snapshot is installed', () => {
  function installing(...others: ReturnType<typeof replicaOf>[]) {
    const replica = replicaOf()
    const all = lifecycle(replica, ...others)
    const installed: boolean[] = []
    all.life.install(replica as unknown as Replica, offer, 7 as StorageId, (done) => installed.push(done))
    const switched = () =>
      all.life.switched(replica as unknown as Replica, { index: offer.index, term: offer.entryTerm })
    return { ...all, replica, installed, switched }
  }

  it('behind a state sync, in the batch of the Ready that says so; the old state goes, and it is told, only behind that', () => {
    const { told, synced, switched, durable, installed } = installing()
    expect(told).toEqual(['sync'])
    synced()
    expect(told.slice(1)).toEqual(['gone'])
    switched()
    expect(told.slice(2)).toEqual(['checkpoint of 7'])
    expect(installed).toEqual([])
    durable()
    expect(told.slice(3)).toEqual(['healed 2', 'drop 1'])
    expect(installed).toEqual([true])
  })

  it('not before a range that was cut from this one has a checkpoint of its own', () => {
    const child = replicaOf({ range: 3, isCheckpointed: false, cutFrom: 2 })
    const { told, synced, replica } = installing(child)
    synced()
    expect(told).toEqual(['sync', 'sync'])
    expect(replica.storages[0]!.storage).toBe(1)
    child.isCheckpointed = true
    synced()
    expect(replica.storages[0]!.storage).toBe(7)
  })

  it('not where the replica went or has its own log to apply, where another lies there, or the core has as much; nothing changes then', () => {
    const gone = installing()
    gone.replicas.clear()
    gone.synced()
    const overlapped = installing({ ...replicaOf({ range: 3 }), hasState: true, overlaps: () => true })
    overlapped.synced()
    const stale = installing()
    stale.replica.raft.restore = () => false
    stale.synced()
    const ahead = installing()
    ahead.replica.goesOnBefore = (of) => of === offer
    ahead.synced()
    for (const each of [gone, overlapped, stale, ahead]) {
      expect([each.installed, each.told, each.replica.storages[0]!.storage]).toEqual([[false], ['sync'], 1])
    }
  })

  it('and removed before its switch is written: whoever brought it is told', () => {
    const { life, replica, synced, installed } = installing()
    synced()
    life.remove(replica as unknown as Replica)
    expect(installed).toEqual([false])
  })
})

describe('a state that cannot be trusted', () => {
  it('is given up durably before its storage goes', () => {
    const replica = replicaOf()
    const { life, told, durable } = lifecycle(replica)
    life.quarantine(replica as unknown as Replica, 'a test says so')
    life.quarantine(replica as unknown as Replica, 'again')
    expect(told).toEqual(['gone', 'checkpoint of '])
    durable()
    expect(told.slice(2)).toEqual(['drop 1'])
  })

  it('is given up only once a range that was cut from it has a checkpoint of its own: replay would not make it any more', () => {
    const [parent, child] = [replicaOf(), replicaOf({ range: 3, isCheckpointed: false, cutFrom: 2 })]
    const { life, told, synced, durable } = lifecycle(parent, child)
    life.quarantine(parent as unknown as Replica, 'a test says so')
    expect([parent.hasState, told]).toEqual([false, ['gone', 'sync']])
    child.isCheckpointed = true
    synced()
    expect(told.slice(2)).toEqual(['checkpoint of '])
    durable()
    expect(told.slice(3)).toEqual([])
  })

  it('has its damage on record for the next start while it is being given up, whatever another brings of the same journal', () => {
    const parent = replicaOf()
    const child = replicaOf({ range: 3, storages: [2], cutFrom: 2 })
    const grandchild = replicaOf({ range: 4, storages: [3], isCheckpointed: false, cutFrom: 3 })
    const { life, told, synced, durable } = lifecycle(parent, child, grandchild)
    const install = () => {
      life.install(parent as unknown as Replica, offer, 7 as StorageId, () => {})
      synced()
      life.switched(parent as unknown as Replica, { index: offer.index, term: offer.entryTerm })
      durable()
    }
    life.quarantine(child as unknown as Replica, 'the journal of its parent is damaged')
    install()
    expect(told).not.toContain('healed 2')
    grandchild.isCheckpointed = true
    synced()
    install()
    expect(told).toContain('healed 2')
  })

  it('is not given up again where a snapshot has brought another meanwhile', () => {
    const [parent, child] = [replicaOf(), replicaOf({ range: 3, isCheckpointed: false, cutFrom: 2 })]
    const { life, told, synced } = lifecycle(parent, child)
    life.quarantine(parent as unknown as Replica, 'a test says so')
    child.isCheckpointed = true
    parent.storages = [{ span, storage: 7 }]
    synced()
    expect(told).toEqual(['gone', 'sync'])
  })

  it('is that of whoever keeps it under a damaged storage id, or comes from a range whose journal is', () => {
    const all = [
      replicaOf(),
      replicaOf({ range: 3, storages: [2] }),
      replicaOf({ range: 4, storages: [3], cutFrom: 9 }),
    ]
    const { life } = lifecycle(...all)
    life.damaged({ what: '', storages: [1 as StorageId], journals: [9 as RangeId] })
    expect(all.map(({ hasState }) => hasState)).toEqual([false, true, false])
    life.damaged({ what: '', storages: 'all', journals: [] })
    expect(all.map(({ hasState }) => hasState)).toEqual([false, false, false])
  })
})

describe('a snapshot whose records were found damaged before it was installed', () => {
  it('never becomes the state: damage is told once', () => {
    for (const storages of [[7 as StorageId], 'all'] as const) {
      const replica = replicaOf({ storages: [] })
      const { life, synced } = lifecycle(replica)
      const installed: boolean[] = []
      life.install(replica as unknown as Replica, offer, 7 as StorageId, (done) => installed.push(done))
      life.damaged({ what: '', storages, journals: [] })
      synced()
      expect([installed, replica.hasState]).toEqual([[false], false])
    }
  })
})

describe('a replica that is placed', () => {
  it('is there only once a tombstone keeps older ids out durably', () => {
    const { life, replicas, told, durable } = lifecycle()
    life.create(range, 4 as ReplicaId)
    expect([told, replicas.size, life.lowestAllowed(range)]).toEqual([['tombstone 4'], 0, 4])
    durable()
    expect(replicas.size).toBe(1)
    expect(() => life.create(range, 3 as ReplicaId)).toThrow('comes back')
  })
})
