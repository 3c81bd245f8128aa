import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Bench, eventually, refusal, serving, type TestNode } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

const loseState = (node: TestNode) => rm(join(node.directory, 'state'), { recursive: true })

describe('a node whose state is lost', () => {
  test.each([
    ['it is gone', loseState, 'it does not hold the state as of sync'],
    [
      'its record of damage is unreadable',
      (node: TestNode) => writeFile(join(node.directory, 'state', 'DAMAGED.json'), '{'),
      'DAMAGED.json is unreadable',
    ],
  ])('says so by name, keeps its replica ids, and has its state fetched from the others: %s', async (_, lose, what) => {
    const nodes = await bench.cluster(3)
    const [, , node] = nodes
    const db = await bench.connect(nodes)
    await db.put('a', 1)
    const born = (await db.status()).ranges.map(({ members }) => members)
    await node!.stop()
    await lose(node!)
    await node!.start()
    expect(await node!.lines.find(/error: the state is lost: /)).toContain(what)
    expect(node!.lines.count(/error: state of a replica given up, a snapshot will replace it/)).toBe(2)
    await node!.lines.reach(/info: snapshot installed/, 2)
    const { ranges } = await eventually(async () => {
      const status = await serving(db, { nodes: 3, ranges: 2 })
      const isWhole = status.ranges.every(({ states }) => new Set(states.map(({ digest }) => digest)).size === 1)
      return isWhole && status.ranges.every(({ states }) => states.length === 3) ? status : null
    })
    expect(ranges.map(({ members }) => members)).toEqual(born)
    // Fetched once: the next start finds it whole.
    await node!.stop()
    await node!.start()
    expect(node!.lines.count(/error: the state is lost: /)).toBe(1)
    await nodes[0]!.stop()
    expect(await db.get('a')).toBe(1)
  })

  test('refuses by name what no other node has, in every start', async () => {
    const [node] = await bench.cluster(1)
    await (await bench.connect([node!])).put('a', 1)
    await node!.stop()
    await loseState(node!)
    for (let starts = 1; starts <= 2; starts++) {
      await node!.start()
      expect(node!.lines.count(/error: the state of a range is lost: it has no other replica to fetch it from/)).toBe(
        2 * starts,
      )
      const db = await bench.connect([node!])
      const limits = { deadlineMs: 500 }
      for (const call of [() => db.get('a', limits), () => db.put('a', 2, limits)]) {
        // The deadline may find the last of the tries on its way: what the node says to that one nobody hears.
        const { message } = await eventually(async () => {
          const error = await refusal(call())
          return error.code === 'UNAVAILABLE' ? error : null
        })
        expect(message).toMatch(/the state of range \d+ is lost, and it has no other replica to fetch it from/)
      }
      await node!.stop()
    }
  })
})
