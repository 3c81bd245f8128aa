import { describe, expect, it } from 'vitest'
import type { LogIndex, RangeId, ReplicaId, Term } from '../../src/base/ids.js'
import type { Command } from '../../src/kv/types.js'
import type { Entry } from '../../src/raft/types.js'
import { replicaCodec } from '../../src/storage/codec/replica-codec.js'
import type { LogItem } from '../../src/storage/types.js'
import type { PlaceMessage, VacantMessage } from '../../src/store/ports.js'
import { Bench } from './bench.js'
import { append, Followers } from './followers.js'
import { Client, DATA, origin, put, putWrite, v } from './requests.js'
import { sendSnapshot } from './snapshots.js'

const ONE = 1 as ReplicaId
const FIVE = 5 as ReplicaId
const EVERYTHING = { storages: 'all', journals: 'all', what: 'a test says so' } as const

const removed = { type: 'removed', range: DATA, replica: ONE } as const

function commands(index: number, list: readonly Command[]): Entry {
  const timestamp = list.at(-1)!.version
  const payload = replicaCodec.encodeCommands(list)
  return { index: index as LogIndex, term: 1 as Term, timestamp, kind: 'commands', payload }
}

function writing(index: number, key: string): Entry {
  const version = v(index * 1_000)
  const writes = [putWrite(key, 'x')]
  const generation = 1 as never
  return commands(index, [
    { kind: 'write', version, origin: null, generation, conditions: [], writes, wantValue: false },
  ])
}

/** What the log was given of the data range, in order. */
function itemsOf<K extends LogItem['kind']>(bench: Bench, kind: K): Extract<LogItem, { kind: K }>[] {
  return bench.batches
    .flatMap(({ items }) => items)
    .filter(
      (item): item is Extract<LogItem, { kind: K }> => item.kind === kind && 'range' in item && item.range === DATA,
    )
}

/** The leader on node 2 speaks to replica 5 here, and sees to it that it is made if this node says that it may be. */
async function place(bench: Bench): Promise<void> {
  const { descriptor } = bench.store.replica(1 as RangeId)!
  const of = { ...descriptor, range: DATA, span: { start: '\x09' as never, end: null }, nextReplica: 6 as ReplicaId }
  const message = (nonce: number | null): PlaceMessage => ({ type: 'place', replica: FIVE, descriptor: of, nonce })
  const before = bench.sent.length
  const hears = (type: string) => bench.sent.slice(before).find(({ message: sent }) => sent.type === type)
  bench.receive(2, { ...append(2, 7, []), to: FIVE })
  await bench.runFor(5)
  if (hears('absent') === undefined) return
  bench.receive(2, message(null))
  await bench.runFor(5)
  const vacant = hears('vacant')?.message as VacantMessage | undefined
  if (vacant === undefined) return
  bench.receive(2, message(vacant.nonce))
  await bench.runFor(20)
}

describe('a replica that is let go of', () => {
  it('takes no time any more: the sync of what it wrote last may come however late', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.logGate.close()
    bench.receive(2, append(2, 1, [writing(1, 'a')]))
    await bench.runFor(20)
    bench.receive(2, removed)
    await bench.runFor(3_000)
    bench.logGate.open()
    await bench.runFor(100)
    expect(bench.failures).toEqual([])
    expect(bench.store.replica(DATA)).toBeUndefined()
  })

  it('leaves its tombstone before another may be placed: what that one writes is not dropped with the old log', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.stateGate.close()
    bench.receive(2, removed)
    await bench.runFor(20)
    await place(bench)
    bench.stateGate.open()
    await bench.runFor(100)
    await place(bench)
    expect(bench.failures).toEqual([])
    expect(bench.replica(DATA).id).toBe(FIVE)
    expect(itemsOf(bench, 'tombstone').map(({ lowest }) => lowest)).toEqual([2, 5])
  })

  it('waits with many others for one sync of the state, not for one each', async () => {
    const splitAt = ['b', 'c', 'd', 'e', 'f', 'g']
    const bench = await Bench.open({ nodes: 3, splitAt })
    const ranges = splitAt.map((_, at) => (DATA + at) as RangeId)
    bench.receive(2, ...ranges.map((range) => ({ ...removed, range })))
    await bench.runFor(200)
    const items = bench.batches.flatMap(({ items: all }) => all)
    expect(items.filter(({ kind }) => kind === 'tombstone')).toHaveLength(ranges.length)
    expect(items.filter(({ kind }) => kind === 'node').length).toBeLessThanOrEqual(3)
  })
})

describe('a replica whose state is given up', () => {
  it('while a checkpoint that cuts its log is on its way to the log: the log begins where that one says', async () => {
    const bench = await Bench.open({ stateSyncEveryBytes: 20_000 })
    const client = new Client()
    await bench.leads(DATA)
    const cuts = () => itemsOf(bench, 'checkpoint').filter(({ checkpoint }) => checkpoint.truncated.index > 0)
    for (let n = 0; n < 100 && cuts().length === 0; n++) {
      bench.submit(client, put(`key ${n}`, 'x'.repeat(1_000)))
      for (let step = 0; step < 50 && cuts().length === 0; step++) await bench.runFor(0.05)
    }
    expect(cuts()).toHaveLength(1)
    expect(bench.batches.at(-1)!.durable).toBe(false)
    bench.store.stateDamaged(EVERYTHING)
    await bench.runFor(100)
    expect(bench.failures).toEqual([])
    expect(itemsOf(bench, 'checkpoint').at(-1)!.checkpoint).toMatchObject({ storages: [] })
    bench.crash()
    await bench.start()
    expect(bench.replica(DATA).hasState).toBe(false)
  })

  it('by the digests of the others, in the middle of what it applies: nothing behind is applied', async () => {
    const bench = await Bench.open({ nodes: 3 })
    for (const from of [2, 3]) {
      const message = { type: 'digest', range: DATA, from: from as ReplicaId, to: ONE, index: 1 as LogIndex } as const
      bench.receive(from, { ...message, digest: 12_345 })
    }
    const entries = [commands(1, [{ kind: 'digest', version: v(1_000) }]), writing(2, 'a'), writing(3, 'b')]
    bench.receive(2, append(2, 1, entries, { commit: 3 }))
    await bench.runFor(50)
    expect(bench.failures).toEqual([])
    expect(bench.replica(DATA)).toMatchObject({ hasState: false, applied: 1 })
  })

  it('answers no repeat from what it remembers of its state', async () => {
    const bench = await Bench.open({ nodes: 3 })
    new Followers(bench)
    await bench.leads(DATA)
    await bench.runFor(1_000)
    const client = new Client()
    const request = put('a', '1', { origin: origin('writer', 1) })
    await bench.ask(client, request)
    bench.store.stateDamaged(EVERYTHING)
    const again = { ...request, id: request.id + 1_000_000 }
    await bench.ask(client, again)
    expect([client.said(request), client.said(again)]).toEqual(['written', 'NOT_LEADER'])
  })

  it('between the install of a snapshot and the batch that switches to it: the switch does not bring it back', async () => {
    const bench = await Bench.open({ nodes: 3 })
    await sendSnapshot(bench)
    await bench.runWhile(() => bench.replica(DATA).applied < 20)
    bench.store.stateDamaged(EVERYTHING)
    await bench.runFor(100)
    expect(bench.replica(DATA).hasState).toBe(false)
    expect(itemsOf(bench, 'checkpoint').at(-1)!.checkpoint).toMatchObject({ applied: { index: 20 }, storages: [] })
    expect(bench.failures).toEqual([])
  })
})
