import { afterEach, expect, it } from 'vitest'
import { checkLinearizability } from '../../src/testing/index.js'
import { eventually, ProcessCluster } from '../processes.js'
import { RegisterWorkload, SPLIT_AT, seeded } from '../register.js'

const KILLS = 4
const OPERATIONS_BETWEEN = 400

let cluster: ProcessCluster | null = null
afterEach(async () => {
  await cluster?.stop()
  cluster = null
})

it('registers stay linearizable while processes are killed with -9, one at a time and all at once', async () => {
  const seed = 1
  const random = seeded(seed)
  cluster = await ProcessCluster.start({ splitAt: SPLIT_AT })
  const db = await cluster.connect()
  const workload = new RegisterWorkload()
  const more = (operations: number): Promise<unknown> => {
    const until = workload.acknowledged + operations
    return eventually(`${operations} more operations`, 60_000, async () =>
      workload.acknowledged >= until ? true : null,
    )
  }
  workload.start(db, { clients: 8, seed })
  for (let kill = 0; kill < KILLS; kill++) {
    await more(OPERATIONS_BETWEEN)
    const node = cluster.nodes[Math.floor(random() * cluster.nodes.length)]!
    await node.end('SIGKILL')
    await more(OPERATIONS_BETWEEN)
    node.start()
  }
  await more(OPERATIONS_BETWEEN)
  await Promise.all(cluster.nodes.map((node) => node.end('SIGKILL')))
  for (const node of cluster.nodes) node.start()
  await more(OPERATIONS_BETWEEN)
  await workload.stop()
  await db.close()

  const { history } = workload
  expect(history.filter(({ status }) => status === 'ok').length).toBeGreaterThan(KILLS * OPERATIONS_BETWEEN)
  expect(history.some((operation) => operation.op === 'get' && operation.result !== null)).toBe(true)
  expect(checkLinearizability(history)).toEqual({ kind: 'legal' })
}, 180_000)
