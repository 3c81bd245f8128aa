// npm run failover [-- --times N] [--json]
// How long writes pause when the node that leads is killed (-9), and when it is stopped (SIGSTOP): the longest gap between two
// acknowledged writes of one client, per fault. Median and worst are printed.
import { parseArgs } from 'node:util'
import { eventually, type NodeProcess, ProcessCluster } from '../jepsen-like-tests/processes.js'
import type { Holdfast } from '../src/client/index.js'

const CALLERS = 16

const { values: flags } = parseArgs({
  options: { times: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const times = Number(flags.times)
if (!Number.isInteger(times) || times < 1 || times > 100) {
  console.error(`--times: expected 1 to 100, got ${flags.times}`)
  process.exit(2)
}

const cluster = await ProcessCluster.start()
const db = await cluster.connect()
const load = startLoad(db)
try {
  const rows = []
  for (const fault of ['kill', 'stop'] as const) {
    const pausesMs: number[] = []
    for (let time = 0; time < times; time++) pausesMs.push(await pauseOf(fault))
    pausesMs.sort((a, b) => a - b)
    rows.push({ fault, times, medianMs: Math.round(pausesMs[times >> 1]!), worstMs: Math.round(pausesMs.at(-1)!) })
  }
  if (flags.json) console.log(JSON.stringify(rows))
  else
    for (const row of rows)
      console.log(`${row.fault}: ${row.times} times, median ${row.medianMs} ms, worst ${row.worstMs} ms`)
} finally {
  await load.stop()
  await db.close()
  await cluster.stop()
}
process.exit(0)

/** One fault on the leader of the data range; returns the longest pause until the cluster is whole again. */
async function pauseOf(fault: 'kill' | 'stop'): Promise<number> {
  const leader = await eventually('a leader', 20_000, () => leaderOfData())
  await load.steady()
  load.reset()
  if (fault === 'kill') await leader.end('SIGKILL')
  else leader.signal('SIGSTOP')
  await load.steady()
  if (fault === 'kill') leader.start()
  else leader.signal('SIGCONT')
  await eventually('all nodes up', 20_000, async () => {
    const { nodes } = await db.status()
    return nodes.every((node) => node.up) ? true : null
  })
  await load.steady()
  return load.longestPauseMs()
}

async function leaderOfData(): Promise<NodeProcess | null> {
  const { nodes, ranges } = await db.status()
  const leader = ranges.find(({ id }) => id !== 1)?.leader
  const address = nodes.find(({ id, up }) => up && id === leader)?.address
  return cluster.nodes.find((node) => node.clientAddress === address) ?? null
}

function startLoad(client: Holdfast) {
  let lastMs = performance.now()
  let longestMs = 0
  let acknowledged = 0
  let stopped = false
  const caller = async (name: number): Promise<void> => {
    for (let n = 0; !stopped; n++) {
      await client.put(`failover-${name}`, n)
      const now = performance.now()
      longestMs = Math.max(longestMs, now - lastMs)
      lastMs = now
      acknowledged++
    }
  }
  const running = Promise.all(Array.from({ length: CALLERS }, (_, name) => caller(name)))
  return {
    reset: () => {
      longestMs = 0
    },
    longestPauseMs: () => longestMs,
    /** Until a thousand more writes were acknowledged. */
    steady: async (): Promise<void> => {
      const until = acknowledged + 1_000
      await eventually('steady writes', 60_000, async () => (acknowledged >= until ? true : null))
    },
    stop: async (): Promise<void> => {
      stopped = true
      await running
    },
  }
}
