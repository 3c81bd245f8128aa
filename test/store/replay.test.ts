import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../src/base/ids.js'
import type { Entry } from '../../src/raft/types.js'
import { encodeCommands } from '../../src/storage/codec/entry.js'
import type { Checkpoint } from '../../src/storage/types.js'
import { Bench } from './bench.js'
import { append, Followers } from './followers.js'
import { Client, DATA, get, k, origin, put, v, write } from './requests.js'

/** Checkpoints of the data range in the log, and whether their batch is durable. */
function checkpoints(bench: Bench): { checkpoint: Checkpoint; durable: boolean }[] {
  return bench.batches.flatMap(({ items, durable }) =>
    items.flatMap((item) =>
      item.kind === 'checkpoint' && item.range === DATA ? [{ checkpoint: item.checkpoint, durable }] : [],
    ),
  )
}

const lastApplied = (bench: Bench) => checkpoints(bench).at(-1)?.checkpoint.applied.index ?? 0

describe('replays what a power cut took from the state', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i: same digest, values and sessions as before', async (seed) => {
    const applied = new Map<number, number>()
    let repeated = 0
    const bench = await Bench.open({
      seed,
      stateSyncEveryBytes: 48 * 1024,
      onApplied: ({ range, applied: index, machine }) => {
        if (range !== DATA) return
        const { digest } = machine.bookkeeping
        if (applied.has(index)) repeated++
        expect(applied.get(index) ?? digest).toBe(digest)
        applied.set(index, digest)
      },
    })
    const client = new Client()
    await bench.leads(DATA)
    const expected = new Map<string, string>()
    for (let round = 0; round < 40; round++) {
      const requests = [0, 1, 2].map((at) => {
        const [key, value] = [`key ${(round * 7 + at) % 25}`, `${seed}/${round}/${at}`]
        expected.set(key, value)
        return put(key, value, {
          origin: origin('writer', round * 3 + at + 1, { lowest: Math.max(1, round * 3 - 30) }),
        })
      })
      await bench.ask(client, ...requests)
      expect(requests.map((request) => client.said(request))).toEqual(['written', 'written', 'written'])
    }
    const before = bench.replica(DATA)
    const image = before.machine.sessions.image()
    expect(lastApplied(bench)).toBeGreaterThan(1)
    expect(lastApplied(bench)).toBeLessThan(before.applied)

    bench.crash()
    await bench.start()
    const after = await bench.leads(DATA)
    expect(repeated).toBeGreaterThan(0)
    expect(after.machine.bookkeeping.digest).toBe(before.machine.bookkeeping.digest)
    expect(after.machine.sessions.image()).toEqual(image)
    const read = get([...expected.keys()])
    await bench.ask(client, read)
    expect(client.values(read)).toEqual([...expected.values()])
  })

  it('conditions and deletes come out the same in the replay, whatever later records the state kept', async () => {
    const bench = await Bench.open({ seed: 5, cacheBytes: 600 })
    const client = new Client()
    await bench.leads(DATA)
    await bench.ask(client, put('a', '1'))
    for (let round = 0; round < 10; round++) {
      const absent = write([{ kind: 'delete', key: k('a') }], { conditions: [{ kind: 'absent', key: k('b') }] })
      await bench.ask(client, absent, put('a', `again ${round}`), put('b', '1'))
      await bench.ask(client, write([{ kind: 'delete', key: k('b') }]))
    }
    const { digest } = bench.replica(DATA).machine.bookkeeping
    bench.crash()
    await bench.start()
    expect((await bench.leads(DATA)).machine.bookkeeping.digest).toBe(digest)
  })
})

describe('the place where replay starts', () => {
  it('goes to the log only after the state up to it is durable', async () => {
    const bench = await Bench.open({ stateSyncEveryBytes: 32 * 1024 })
    const client = new Client()
    await bench.leads(DATA)
    bench.stateGate.close()
    for (let round = 0; round < 20; round++) await bench.ask(client, put('a', 'x'.repeat(1_000)))
    await bench.runFor(100)
    expect(lastApplied(bench)).toBe(0)
    bench.stateGate.open()
    await bench.runFor(100)
    expect(lastApplied(bench)).toBeGreaterThan(0)
  })

  it('is not believed before its own batch is durable: the log below stays until then', async () => {
    const bench = await Bench.open()
    const client = new Client()
    const replica = await bench.leads(DATA)
    for (let round = 0; round < 5; round++) await bench.ask(client, put('a', 'x'))
    bench.stateGate.close()
    bench.store.stop(() => {})
    await bench.runFor(20)
    bench.logGate.close()
    bench.stateGate.open()
    await bench.runFor(20)
    expect(checkpoints(bench).at(-1)).toMatchObject({ durable: false })
    expect(replica.needsCheckpoint(0 as LogIndex)).toBe(true)
    bench.logGate.open()
    await bench.runFor(50)
    expect(checkpoints(bench).at(-1)).toMatchObject({ durable: true })
    expect(replica.needsCheckpoint(0 as LogIndex)).toBe(false)
  })

  it.each([
    { applied: 10, allPersisted: 4, truncated: 4 },
    { applied: 6, allPersisted: 9, truncated: 6 },
    { applied: 7, allPersisted: 0, truncated: 0 },
  ])('applied $applied, on every disk $allPersisted: the log goes up to $truncated', async (place) => {
    const bench = await Bench.open({ nodes: 3 })
    const entries = Array.from(
      { length: 10 },
      (_, at): Entry => ({
        index: (at + 1) as LogIndex,
        term: 1 as Term,
        timestamp: v(at + 1),
        kind: 'commands',
        payload: encodeCommands([]),
      }),
    )
    bench.receive(2, append(2, 1, entries))
    await bench.runFor(5)
    bench.receive(2, append(2, 1, entries.slice(-1), { commit: place.applied, allPersisted: place.allPersisted }))
    await bench.runFor(5)
    await bench.stop()
    expect(checkpoints(bench).at(-1)?.checkpoint).toMatchObject({
      applied: { index: place.applied },
      truncated: { index: place.truncated },
    })
  })
})

describe('apply', () => {
  it('keeps back from the state database what the own log does not have yet, though a majority has', async () => {
    const bench = await Bench.open({ nodes: 3 })
    new Followers(bench)
    await bench.leads(DATA)
    await bench.runFor(1_000)
    const client = new Client()
    expect(bench.state.overlayBytes).toBe(0)
    bench.logGate.close()
    await bench.ask(client, put('a', '1'))
    await bench.runFor(100)
    expect(client.messages).toEqual([1])
    expect(bench.state.overlayBytes).toBeGreaterThan(0)
    bench.logGate.open()
    await bench.runFor(100)
    expect(bench.state.overlayBytes).toBe(0)
  })

  it('reads what it knew when it began to fetch the rest, though the cache has let go of it since', async () => {
    const bench = await Bench.open({ cacheBytes: 4_096 })
    const client = new Client()
    await bench.leads(DATA)
    const cold = Array.from({ length: 60 }, (_, at) => `cold ${at}`)
    await bench.ask(client, ...cold.map((key) => put(key, 'x'.repeat(50))))
    await bench.ask(client, put('known', '1'))
    await bench.runFor(20)
    const keys = ['known', ...cold]
    const remove = write(keys.map((key) => ({ kind: 'delete', key: k(key) })))
    await bench.ask(client, remove)
    expect(client.reply(remove)).toMatchObject({ kind: 'written', deleted: keys.map(() => true) })
  })

  it('waits where the state store is behind, and goes on when it is not', async () => {
    const bench = await Bench.open()
    const client = new Client()
    await bench.leads(DATA)
    bench.stateGate.close()
    const big = 'x'.repeat(1_000_000)
    const requests = Array.from({ length: 70 }, (_, at) => put(`key ${at}`, big))
    for (const request of requests) {
      bench.submit(client, request)
      await bench.runFor(5)
    }
    const said = requests.map((request) => client.said(request))
    expect(said.filter((word) => word === 'written').length).toBeGreaterThan(60)
    const refused = requests.find((request) => client.said(request) === 'OVERLOADED')
    expect(client.reply(refused!)).toMatchObject({ error: { retryAfterMs: 20 } })
    bench.stateGate.open()
    await bench.runFor(200)
    await bench.ask(client, put('after', '1'))
    expect(requests.map((request) => client.said(request))).not.toContain('nothing')
  })
})
