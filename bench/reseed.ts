// npm run reseed [-- --mib N]
// A node that lost its disk gets a large range back: how much memory that costs the node that sends it and the one that takes it.
//
// What the snapshot adds is told over the same node in its ordinary service. A process that has opened nothing yet has neither LevelDB's
// two write buffers (16 MiB each) nor the buffers that V8 lets lie about between two collections (up to 32 MiB with its default semi-space);
// whoever takes data in has both, by whatever road it comes. So before its disk is taken away the receiver is started afresh and takes
// in SERVICE_MIB by the log, as a follower does, and its peak then is what the snapshot's peak is measured against. The sender's is what
// it needs at rest after the fill. What the receiver needs above its start with nothing opened is printed too.
import { runCommand, Skip } from '../jepsen-like-tests/command.js'
import { eventually, type NodeProcess, ProcessCluster, runCli } from '../jepsen-like-tests/processes.js'
import { differingDigests, wholeAgain } from '../jepsen-like-tests/whole.js'
import type { Holdfast } from '../src/client/index.js'
import { anonymousBytes, MemoryWatch } from './lib/memory.js'

const MiB = 1024 * 1024
const VALUE_BYTES = 8 * 1024
const IN_FLIGHT = 128
const DATA_RANGE = 2
/** More than LevelDB's two write buffers, so that both are in use. */
const SERVICE_MIB = 64

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
    secondsMax: ({ mib }) => 600 + 3 * mib,
  },
  async ({ mib, 'memory-mib': memoryMib }, scope) => {
    if (process.platform !== 'linux')
      throw new Skip('anonymous memory is told by /proc, which this system does not have')
    const cluster = await ProcessCluster.start({ onMade: (made) => scope.defer('processes', () => made.stop()) })
    const db = await cluster.connect({ deadlineMs: 60_000 })
    scope.defer('client', () => db.close())
    await fill(db, { mib, from: 0 })
    await wholeAgain(cluster, db, 120_000)
    const leader = await leaderOf(cluster, db)
    const victim = cluster.nodes.find((node) => node !== leader)!
    const serving = await inService(cluster, db, { victim, from: rowsOf(mib) })
    await victim.end('SIGTERM')
    console.log((await runCli(['node', 'rejoin', '--data', victim.directory])).trim())

    const before = anonymousBytes(leader.pid)
    const sender = new MemoryWatch(() => [leader.pid], 50)
    scope.defer('sender watch', () => sender.stop())
    await startAgain(victim)
    const empty = anonymousBytes(victim.pid)
    const receiver = new MemoryWatch(() => [victim.pid], 50)
    scope.defer('receiver watch', () => receiver.stop())
    const began = performance.now()
    await wholeAgain(cluster, db, 120_000)
    const seconds = (performance.now() - began) / 1_000
    const violations = await differingDigests(db)
    const sent = mib + SERVICE_MIB
    console.log(`${sent} MiB sent again in ${seconds.toFixed(1)} s, ${(sent / seconds).toFixed(1)} MiB/s`)
    const taken = receiver.take()
    for (const [who, base, peak] of [
      ['sender, over its rest', before, sender.take()],
      ['receiver, over its ordinary service', serving, taken],
    ] as const) {
      const added = Math.round((peak - base) / MiB)
      console.log(`${who}: ${inMiB(base)}, at most ${inMiB(peak)}: ${added} MiB more (bar ${memoryMib})`)
      if (added > memoryMib) violations.push(`the ${who}, needed ${added} MiB more, the bar is ${memoryMib}`)
    }
    console.log(`receiver, over nothing opened: ${inMiB(empty)}, at most ${inMiB(taken)}: ${inMiB(taken - empty)} more`)
    return violations
  },
)

function inMiB(bytes: number): string {
  return `${Math.round(bytes / MiB)} MiB`
}

function rowsOf(mib: number): number {
  return (mib * MiB) / VALUE_BYTES
}

async function fill(db: Holdfast, { mib, from }: { mib: number; from: number }): Promise<void> {
  const end = from + rowsOf(mib)
  let next = from
  const writer = async (): Promise<void> => {
    const value = new Uint8Array(VALUE_BYTES)
    const words = new DataView(value.buffer)
    while (next < end) {
      const row = next++
      // Bytes that do not compress to nothing.
      for (let at = 0; at < VALUE_BYTES; at += 4) words.setUint32(at, Math.imul(row + at, 0x9e3779b1))
      await db.put(`row ${String(row).padStart(9, '0')}`, value.slice(), { codec: 'bytes' })
    }
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: IN_FLIGHT }, writer))
  console.log(`filled ${mib} MiB in ${((performance.now() - began) / 1_000).toFixed(1)} s`)
}

/** Peak in bytes of a follower that was just started, while it takes in SERVICE_MIB by the log. */
async function inService(
  cluster: ProcessCluster,
  db: Holdfast,
  { victim, from }: { victim: NodeProcess; from: number },
): Promise<number> {
  await victim.end('SIGTERM')
  await startAgain(victim)
  await wholeAgain(cluster, db, 120_000)
  const watch = new MemoryWatch(() => [victim.pid], 50)
  try {
    await fill(db, { mib: SERVICE_MIB, from })
    await wholeAgain(cluster, db, 120_000)
    return watch.take()
  } finally {
    watch.stop()
  }
}

async function startAgain(node: NodeProcess): Promise<void> {
  node.start()
  await eventually('the node that was started again answers', 60_000, async () => ((await answers(node)) ? true : null))
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
