import { cp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { rejoinNode } from '../../src/server/index.js'
import { holdfastOnce, Spawned } from '../cli/spawned.js'
import { isComplete } from '../volume.js'
import { Bench, eventually, refusal, serving, type TestNode } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

const inside = (node: TestNode, ...path: string[]) => join(node.directory, ...path)
const replicasOf = async (node: TestNode) => {
  const db = await bench.connect([node])
  return (await db.status()).ranges.length
}

/** Ranges are born with replica n on node n. Resolves once each has a new voter on the node instead, caught up, and no other change. */
const replaced = async (nodes: readonly TestNode[], node: number) => {
  const db = await bench.connect(nodes)
  return eventually(async () => {
    const { ranges } = await db.status()
    const isDone = ranges.every(({ members, states }) => {
      const own = members.filter((member) => member.node === node)
      const isNew = own.length === 1 && own[0]!.replica > nodes.length
      const isSettled = members.length === nodes.length && members.every(({ role }) => role === 'voter')
      const commit = Math.max(...states.map((state) => state.commit))
      return isNew && isSettled && states.some((state) => state.node === node && state.applied >= commit)
    })
    return ranges.length === 2 && isDone ? db : null
  })
}

describe('a data directory rolled back to an older copy', () => {
  test('is refused by name on both sides, ends by itself, and comes back with the command that it names', async () => {
    const nodes = await bench.cluster(3)
    const old = nodes[2]!
    await old.stop()
    await cp(old.directory, `${old.directory}-copy`, { recursive: true })
    await old.start()
    await serving(await bench.connect(nodes), { nodes: 3, ranges: 2 })
    await old.stop()
    await rm(old.directory, { recursive: true })
    await rename(`${old.directory}-copy`, old.directory)

    // As a process: `holdfast start` ends with exit code 5.
    const child = new Spawned(['start', '--data', old.directory, '--listen', old.client, '--peer-listen', old.peer])
    bench.atEnd(() => child.stop('SIGKILL'))
    expect((await child.ended).code).toBe(5)
    expect(child.out).toContain('it comes back: what it holds is put aside')
    await old.start()
    const { code, message } = await old.ended
    expect(code).toBe('NOT_PERMITTED')
    expect(message).toContain('node 3 was seen here in a start that its data directory knows nothing of')
    expect(message).toContain(`\`holdfast node rejoin --data ${old.directory}\``)
    await old.lines.find(/error: kept out: .*node 3 was seen here/)
    await Promise.any(nodes.slice(0, 2).map(({ lines }) => lines.find(/warn: session from .*: node 3 was seen here/)))

    await old.stop()
    const { code: exit, out } = await holdfastOnce('node', 'rejoin', '--data', old.directory)
    expect([exit, out]).toEqual([
      0,
      expect.stringMatching(/^node 3 of cluster \w+ is ready .*lies in aside-1 of its data\n$/),
    ])
    expect((await readdir(inside(old, 'aside-1'))).sort()).toEqual(['log', 'state'])
    await old.start()
    const db = await replaced(nodes, 3)
    await db.put('a', 1)
    expect(old.id).toBe(3)
  })
})

describe('a copy of a data directory that was made while its node ran', () => {
  test('is refused once the node is back on it: its log ends before what the others were told', async () => {
    const nodes = await bench.cluster(3)
    const old = nodes[2]!
    // Of a running node nothing is consistent but the log and who it is: the state comes back from the others.
    for (const name of ['FORMAT', 'node.json', 'peers.json', 'log']) {
      // But for a file that is just being made, and may have its name by the time it is copied.
      const filter = (path: string): boolean => !path.endsWith('.tmp')
      await cp(inside(old, name), join(`${old.directory}-copy`, name), { recursive: true, filter })
    }
    // With one node down each write needs both others: what node 3 says to the second of them stands behind the first.
    await nodes[0]!.stop()
    const db = await bench.connect(nodes.slice(1))
    for (const value of [1, 2, 3]) await db.put('a', value, { deadlineMs: 60_000 })
    await old.stop()
    await rm(old.directory, { recursive: true })
    await rename(`${old.directory}-copy`, old.directory)
    await old.start()
    const { code, message } = await old.ended
    expect(code).toBe('NOT_PERMITTED')
    expect(message).toMatch(
      /node 3 was seen here with a log that reached batch \d+, and its next start is in batch \d+ of this one/,
    )
    expect(message).toContain(`\`holdfast node rejoin --data ${old.directory}\``)
  })
})

describe('files that do not belong together', () => {
  test('the log of another directory is refused, and nothing is touched', async () => {
    const [one] = await bench.cluster(1)
    const two = await bench.node()
    await two.start()
    await bench.init(two)
    for (const node of [one!, two]) await node.stop()
    await rename(inside(one!, 'log'), inside(one!, 'kept'))
    await cp(inside(two, 'log'), inside(one!, 'log'), { recursive: true })
    const { code, message } = await refusal(one!.start())
    expect([code, message]).toEqual([
      'NOT_PERMITTED',
      expect.stringContaining('log/ is of another data directory than node.json'),
    ])
    expect(message).toContain('Bring back what was there. No other node has a copy')
    await rm(inside(one!, 'log'), { recursive: true })
    await rename(inside(one!, 'kept'), inside(one!, 'log'))
    await one!.start()
    expect(await replicasOf(one!)).toBe(2)
  })

  test('a node.json that is older than the log is refused, and the message names the command', async () => {
    const [, node] = await bench.cluster(2)
    await node!.stop()
    const old = await readFile(inside(node!, 'node.json'))
    for (let i = 0; i < 2; i++) {
      await node!.start()
      await node!.stop()
    }
    const now = await readFile(inside(node!, 'node.json'))
    await writeFile(inside(node!, 'node.json'), old)
    const { code, message } = await refusal(node!.start())
    expect([code, message]).toEqual([
      'NOT_PERMITTED',
      expect.stringContaining('node.json is older than log/: it knows 1 starts, the log 3'),
    ])
    expect(message).toContain(`Bring back what was there, or run \`holdfast node rejoin --data ${node!.directory}\``)
    await writeFile(inside(node!, 'node.json'), now)
    await node!.start()
  })

  test('a log from before a rejoin is not taken back', async () => {
    const [, node] = await bench.cluster(2)
    await node!.stop()
    const { aside } = await rejoinNode({ dataDirectory: node!.directory })
    await rename(inside(node!, aside!, 'log'), inside(node!, 'log'))
    const { message } = await refusal(node!.start())
    expect(message).toContain('log/ is of another data directory than node.json, or was put aside before')
  })

  test("whole directories swapped between two nodes just work, at each other's addresses", async () => {
    const nodes = await bench.cluster(3)
    const db = await bench.connect(nodes)
    await db.put('a', 1)
    const [, two, three] = nodes
    for (const node of [two!, three!]) await node.stop()
    await rename(two!.directory, `${two!.directory}-kept`)
    await rename(three!.directory, two!.directory)
    await rename(`${two!.directory}-kept`, three!.directory)
    await Promise.all([two!.start(), three!.start()])
    expect([two!.id, three!.id]).toEqual([3, 2])
    await serving(db, { nodes: 3, ranges: 2 })
    expect(await db.get('a')).toBe(1)
  })
})

/** Each makes a stopped node's log forget. */
const harms: readonly (readonly [string, (node: TestNode) => Promise<void>, string])[] = [
  ['the log is gone', (node) => rm(inside(node, 'log'), { recursive: true }), 'log/ is empty, but it was not'],
  ['the log is an older copy', restoreOldLog, 'log/ is an older copy: it knows 1 starts, node.json 2'],
  ['both tables of contents of a batch are damaged', blankFirstBlocks, 'the log is damaged: log/'],
]

async function restoreOldLog(node: TestNode): Promise<void> {
  await cp(inside(node, 'log'), inside(node, 'old'), { recursive: true })
  await node.start()
  await node.stop()
  await rm(inside(node, 'log'), { recursive: true })
  await rename(inside(node, 'old'), inside(node, 'log'))
}

async function blankFirstBlocks(node: TestNode): Promise<void> {
  const [name] = (await readdir(inside(node, 'log'))).sort()
  const file = await open(inside(node, 'log', name!), 'r+')
  await file.write(Buffer.alloc(8 * 1024, 0xff), 0, 8 * 1024, 0)
  await file.close()
}

describe('a node that has forgotten starts without its replicas, by itself', () => {
  test.each(isComplete ? harms : harms.slice(-1))(
    '%s: they come back under new ids, and the old ids are out',
    async (_, harm, why) => {
      const nodes = await bench.cluster(3)
      const [, , node] = nodes
      await (await bench.connect(nodes)).put('a', 1)
      await node!.stop()
      await harm(node!)
      await node!.start()
      expect(await node!.lines.find(/may have forgotten what it promised/)).toContain(why)
      expect((await readdir(inside(node!, 'aside-1'))).sort()).toEqual(expect.arrayContaining(['state']))
      const db = await replaced(nodes, 3)
      expect(await db.get('a')).toBe(1)
      // And stays so: what it was born with is not made again under ids that have voted.
      await node!.stop()
      await node!.start()
      await replaced(nodes, 3)
      expect(node!.lines.count(/may have forgotten/)).toBe(1)
    },
  )
})

describe('a node that holds the only replicas of its cluster, and has forgotten,', () => {
  test.each(isComplete ? harms : harms.slice(0, 1))(
    'does not start, and nothing is touched: %s',
    async (_, harm, why) => {
      const [node] = await bench.cluster(1)
      await node!.stop()
      await cp(node!.directory, `${node!.directory}-copy`, { recursive: true })
      await harm(node!)
      const there = await readdir(node!.directory, { recursive: true })
      const { code, message } = await refusal(node!.start())
      expect(code).toBe('NOT_PERMITTED')
      expect(message).toContain('node 1 holds the only replicas of its cluster, and its log has forgotten')
      expect(message).toContain(why)
      expect(message).not.toContain('rejoin')
      expect((await refusal(rejoinNode({ dataDirectory: node!.directory }))).message).toContain('Nothing was put aside')
      const left = await readdir(node!.directory, { recursive: true })
      // Each process that takes the directory begins new files in lock.db/.
      expect(there.filter((name) => !left.includes(name) && !/^(CLEAN$|lock\.db\/)/.test(name))).toEqual([])
      await rm(node!.directory, { recursive: true })
      await rename(`${node!.directory}-copy`, node!.directory)
      await node!.start()
      expect(await replicasOf(node!)).toBe(2)
    },
  )
})

test('FORMAT damaged where the only replicas are: rejoin puts nothing aside, mends it, and says that this may do', async () => {
  const [node] = await bench.cluster(1)
  await node!.stop()
  await writeFile(inside(node!, 'FORMAT'), 'holdfast')
  const { message } = await refusal(rejoinNode({ dataDirectory: node!.directory }))
  expect(message).toMatch(/Nothing was put aside\. The file FORMAT is written anew: if that was all, start the node/)
  await node!.start()
  expect(await replicasOf(node!)).toBe(2)
})

describe('a disk that was lost', () => {
  test('the node comes back as itself, told by another one who it was', async () => {
    const nodes = await bench.cluster(3)
    const [one, , lost] = nodes
    await (await bench.connect(nodes)).put('a', 1)
    await lost!.stop()
    await rm(lost!.directory, { recursive: true })
    await rejoinNode({ dataDirectory: lost!.directory, from: { node: 3, join: one!.peer } })
    lost!.join = []
    await lost!.start()
    expect(lost!.id).toBe(3)
    const db = await replaced(nodes, 3)
    expect(await db.get('a')).toBe(1)
  })

  test('rejoin is refused where it would be wrong', async () => {
    const [one, two] = await bench.cluster(2)
    const empty = join(await bench.folder(), 'empty')
    const said = async (from?: { node: number; join: string }, dataDirectory = empty) =>
      refusal(rejoinNode({ dataDirectory, ...(from === undefined ? {} : { from }) }))
    expect((await said(undefined, one!.directory)).message).toContain('is in use by process')
    expect((await said()).message).toContain('belongs to no cluster')
    expect((await said({ node: 9, join: one!.peer })).message).toMatch(/cluster \S+ has no node 9, only 1, 2/)
    expect((await said({ node: 1, join: one!.peer })).message).toContain(`node 1 runs at ${one!.peer}`)
    expect((await said({ node: 2, join: one!.peer })).message).toContain(`node 2 runs at ${two!.peer}`)
    await two!.stop()
    const other = await said({ node: 1, join: one!.peer }, two!.directory)
    expect(other.message).toContain('is of node 2, not of node 1')
    expect((await said({ node: 2, join: two!.peer })).code).toBe('UNAVAILABLE')
    // Nothing of that made a node of the directory.
    expect(await readdir(empty)).not.toContain('node.json')
  })

  const damages = [
    ['node.json damaged', 'node.json', '{}', 'node.json in the data directory is damaged', true],
    ['FORMAT damaged', 'FORMAT', 'holdfast', 'its file FORMAT is damaged', false],
    ['FORMAT gone', 'FORMAT', null, 'it has no file FORMAT but holds', false],
  ] as const
  test.each(isComplete ? damages : damages.slice(0, 1))(
    '%s: the refusal names the command, and it brings the node back',
    async (_, file, contents, expected, needsPeer) => {
      const nodes = await bench.cluster(3)
      const [one, , node] = nodes
      await node!.stop()
      if (contents === null) await rm(inside(node!, file))
      else await writeFile(inside(node!, file), contents)
      const { message } = await refusal(node!.start())
      expect(message).toContain(expected)
      const who = needsPeer ? `${node!.directory} --node 3 --join ${one!.peer}` : node!.directory
      expect(message).toContain(`run \`holdfast node rejoin --data ${who}\``)
      const from = needsPeer ? { from: { node: 3, join: one!.peer } } : {}
      const { aside } = await rejoinNode({ dataDirectory: node!.directory, ...from })
      expect((await readdir(inside(node!, aside!))).sort()).toEqual(
        needsPeer ? ['log', 'node.json', 'state'] : ['log', 'state'],
      )
      await node!.start()
      expect(node!.id).toBe(3)
      await replaced(nodes, 3)
    },
  )
})
