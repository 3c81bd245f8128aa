import { afterEach, describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/client/index.js'
import { foreign } from './foreign.js'
import { Bench, serving } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

type End = 'done' | 'definite' | 'unknown'

/** How each call ended; whatever is no HoldfastError fails the test. */
async function ends(calls: readonly Promise<unknown>[]): Promise<End[]> {
  return Promise.all(
    calls.map((call) =>
      call.then(
        (): End => 'done',
        (error: unknown): End => {
          if (!(error instanceof HoldfastError)) throw error
          expect(error.mayHaveBeenApplied).toBe(error.code === 'OUTCOME_UNKNOWN')
          return error.mayHaveBeenApplied ? 'unknown' : 'definite'
        },
      ),
    ),
  )
}

describe('a node that is stopped while calls are open', () => {
  test('of a single node cluster: every call ends, and what ended well is there after the next start', async () => {
    const [node] = await bench.cluster(1)
    const db = await bench.connect([node!])
    const keys = Array.from({ length: 400 }, (_, i) => `k${i}`)
    const writes = keys.map((key) => db.put(key, key, { deadlineMs: 2_000 }))
    // From here on, so that one that ends before it is looked at counts as looked at.
    const readsEnd = ends(keys.map((key) => db.get(key, { deadlineMs: 2_000 })))
    const writesEnd = ends(writes)
    await Promise.race(writes.map((write) => write.catch(() => {})))
    const moreEnd = ends(keys.map((key) => db.put(`more-${key}`, key, { deadlineMs: 2_000 })))
    const stopped = node!.stop()
    const ended = await writesEnd
    const endedMore = await moreEnd
    expect(await readsEnd).not.toContain('unknown')
    await stopped
    await node!.start()
    const written = await db.getMany(keys)
    const writtenMore = await db.getMany(keys.map((key) => `more-${key}`))
    for (const [how, found] of [
      [ended, written],
      [endedMore, writtenMore],
    ] as const) {
      for (const [i, end] of how.entries()) {
        if (end === 'done') expect(found[i]).toBe(keys[i])
        if (end === 'definite') expect(found[i]).toBeUndefined()
      }
    }
  })

  test('of three: the SDK takes every call to its end through the others', async () => {
    const nodes = await bench.cluster(3, ['m'])
    const db = await bench.connect(nodes)
    const { nodes: shown } = await db.status()
    const busiest = shown.toSorted((a, b) => b.leaders - a.leaders)[0]!
    const node = nodes.find(({ client }) => client === busiest.address)!
    const writes = Array.from({ length: 200 }, (_, i) => db.put(`${i % 2 === 0 ? 'a' : 'z'}${i}`, i))
    await Promise.race(writes)
    await node.stop()
    expect(new Set(await ends(writes))).toEqual(new Set(['done']))
    await node.start()
    await serving(db, { nodes: 3, ranges: 3 })
  })

  test('twice, or while it just becomes a member: it ends once, and its directory is free', async () => {
    const [member] = await bench.cluster(1)
    const joiner = await bench.node([member!.peer])
    await joiner.start()
    await Promise.all([joiner.stop(), joiner.stop()])
    await joiner.start()
    await joiner.joined()
  })

  test('tells unary callers by the code of the catalogue, or their connection ends', async () => {
    const [node] = await bench.cluster(1)
    const call = foreign(node!.client, bench)
    const key = Buffer.from('k')
    const first = await call('KeyValue', 'Put', { key, value: key })
    expect(first.error).toBeNull()
    const open = Array.from({ length: 50 }, (_, i) =>
      call('KeyValue', 'Put', { key: Buffer.from(`k${i}`), value: key }),
    )
    await node!.stop()
    for (const { error } of await Promise.all(open)) {
      if (error === null) continue
      // Without a code of ours the connection ended under the call: gRPC's own words for "may have been applied".
      expect(['UNAVAILABLE', 'OUTCOME_UNKNOWN', 'CANCELLED', undefined]).toContain(
        error.metadata.get('holdfast-code')[0],
      )
    }
  })
})
