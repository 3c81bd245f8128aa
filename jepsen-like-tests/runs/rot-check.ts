import type { Holdfast } from '../../src/client/index.js'
import { messageOf } from '../command.js'
import { Gateway } from '../gateway.js'
import type { Ledger } from '../ledger.js'
import { OwnReplicas } from '../own-replicas.js'
import type { NodeProcess, ProcessCluster } from '../processes.js'
import { differingDigests } from '../whole.js'
import { whileLeading } from './comeback.js'

const PREFIX = 'w/'

export interface Checked {
  readonly cluster: ProcessCluster
  readonly db: Holdfast
  readonly ledger: Ledger
}

/** Every answer of the leaders, and all that the replicas of these nodes hold themselves. Nothing may be under way. */
export async function checkAnswers({ cluster, db, ledger }: Checked, nodes: readonly NodeProcess[]): Promise<string[]> {
  const differences = await differing('through the SDK', ledger.check(db.scan(), PREFIX))
  for (const node of nodes) {
    const number = cluster.nodes.indexOf(node) + 1
    differences.push(...(await differing(`replicas of node ${number}`, checkOwn({ db, ledger }, node))))
  }
  return [...differences, ...(await differingDigests(db))]
}

export interface EveryWay {
  readonly differences: readonly string[]
  /** Why it was not compared while the node led; null: it was. */
  readonly notLed: string | null
}

/** The same by other ways: through every node as a gateway, and while `leader` leads everything. */
export async function checkEveryWay(checked: Checked, leader: NodeProcess): Promise<EveryWay> {
  const { cluster, db, ledger } = checked
  const differences = await checkAnswers(checked, cluster.nodes)
  for (const { listenAddress } of cluster.nodes) {
    const gateway = new Gateway(listenAddress)
    differences.push(...(await differing(`through ${listenAddress}`, ledger.check(gateway.scan(), PREFIX))))
    gateway.close()
  }
  const notLed = await whileLeading(cluster, db, leader, async () => {
    differences.push(...(await differing('while the damaged node leads', ledger.check(db.scan(), PREFIX))))
  })
  return { differences, notLed }
}

/** What the node's replicas hold, as of the last thing that `db` was told. Rejects where it can't say. */
export async function checkOwn({ db, ledger }: Omit<Checked, 'cluster'>, node: NodeProcess): Promise<string[]> {
  const { version } = await db.put('checked', true)
  const own = new OwnReplicas(node.listenAddress)
  try {
    return await ledger.check(own.scan(version), PREFIX)
  } finally {
    own.close()
  }
}

async function differing(how: string, check: Promise<string[]>): Promise<string[]> {
  const differences = await check.catch((error: unknown) => [messageOf(error)])
  return differences.map((difference) => `${how}: ${difference}`)
}
