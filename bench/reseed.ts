// npm run reseed [-- --mib N]
// A node that lost its disk gets a large range back: how much memory that costs the node that sends it and the one that takes it.
import { runCommand, Skip } from '../jepsen-like-tests/command.js'
import { eventually, type NodeProcess, ProcessCluster, runCli } from '../jepsen-like-tests/processes.js'
import { differingDigests, wholeAgain } from '../jepsen-like-tests/whole.js'
import type { Holdfast } from '../src/client/index.js'
import { anonymousBytes, MemoryWatch } from './lib/memory.js'

const MiB = 1024 * 1024
const VALUE_BYTES = 8 * 1024
const IN_FLIGHT = 128
const DATA_RANGE = 2

await runCommand(
  {
    name: 'reseed',
    about:
      'Fills one range, takes the disk of a follower away, and measures the memory of both sides while it is sent again.',
    settings: {
      mib: { value: 1_024, min: 8, max: 65_536, about: 'size of the range in MiB' },
      'memory-mib': {
        value: 50,
        min: 1,
        max: 65_536,
        about: 'bar: what the snapshot adds to the memory of either node',
      },
    },
    secondsMax: ({ mib }) => 300 + mib,
  },
  async ({ mib, 'memory-mib': memoryMib }, scope) => {
    if (process.platform !== 'linux')
      throw new Skip('anonymous memory is told by /proc, which this system does not have')
    const cluster = await ProcessCluster.start({ onMade: (made) => scope.defer('processes', () => made.stop()) })
    const db = await cluster.connect({ deadlineMs: 60_000 })
    scope.defer('client', () => db.close())
    await fill(db, mib)
    await wholeAgain(cluster, db, 120_000)
    const leader = await leaderOf(cluster, db)
    const victim = cluster.nodes.find((node) => node !== leader)!
    await victim.end('SIGTERM')
    console.log((await runCli(['node', 'rejoin', '--data', victim.directory])).trim())

    const before = anonymousBytes(leader.pid)
    const sender = new MemoryWatch(() => [leader.pid], 50)
    scope.defer('sender watch', () => sender.stop())
    victim.start()
    await eventually('the emptied node answers', 60_000, async () => ((await answers(victim)) ? true : null))
    // What a node needs that serves nothing yet: its runtime, its caches' index, its connections.
    const empty = anonymousBytes(victim.pid)
    const receiver = new MemoryWatch(() => [victim.pid], 50)
    scope.defer('receiver watch', () => receiver.stop())
    const began = performance.now()
    await wholeAgain(cluster, db, 120_000)
    const seconds = (performance.now() - began) / 1_000
    const violations = await differingDigests(db)
    console.log(`${mib} MiB sent again in ${seconds.toFixed(1)} s, ${(mib / seconds).toFixed(1)} MiB/s`)
    for (const [who, base, peak] of [
      ['sender', before, sender.take()],
      ['receiver', empty, receiver.take()],
    ] as const) {
      const added = (peak - base) / MiB
      console.log(
        `${who}: ${Math.round(base / MiB)} MiB before, at most ${Math.round(peak / MiB)} MiB: ${Math.round(added)} MiB more (bar ${memoryMib})`,
      )
      if (added > memoryMib) violations.push(`the ${who} needed ${Math.round(added)} MiB more, the bar is ${memoryMib}`)
    }
    return violations
  },
)

async function fill(db: Holdfast, mib: number): Promise<void> {
  const rows = (mib * MiB) / VALUE_BYTES
  const value = new Uint8Array(VALUE_BYTES)
  let next = 0
  const writer = async (): Promise<void> => {
    while (next < rows) {
      const row = next++
      // Bytes that do not compress to nothing.
      for (let at = 0; at < VALUE_BYTES; at += 4)
        new DataView(value.buffer).setUint32(at, Math.imul(row + at, 0x9e3779b1))
      await db.put(`row ${String(row).padStart(9, '0')}`, value.slice(), { codec: 'bytes' })
    }
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: IN_FLIGHT }, writer))
  console.log(`filled ${mib} MiB in ${((performance.now() - began) / 1_000).toFixed(1)} s`)
}

async function leaderOf(cluster: ProcessCluster, db: Holdfast): Promise<NodeProcess> {
  const { nodes, ranges } = await db.status()
  const leader = ranges.find(({ id }) => id === DATA_RANGE)?.leader
  const address = nodes.find(({ id }) => id === leader)?.address
  const found = cluster.nodes.find((node) => node.clientAddress === address)
  if (found === undefined) throw new Error(`range ${DATA_RANGE} has no leader`)
  return found
}

async function answers(node: NodeProcess): Promise<boolean> {
  try {
    const answer = await fetch(`http://${node.httpAddress}/livez`, { signal: AbortSignal.timeout(1_000) })
    await answer.arrayBuffer()
    return answer.ok
  } catch {
    return false
  }
}
