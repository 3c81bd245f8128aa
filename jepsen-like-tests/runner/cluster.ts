import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Scope, Usage } from '../command.js'
import type { Nemesis, NodePlan } from '../nemeses/types.js'
import type { Network } from '../network/types.js'
import { NodeProcess, ProcessCluster } from '../processes.js'

export interface PreparedOptions {
  readonly scope: Scope
  /** For the nodes' logs. */
  readonly out: string
  readonly nodes: number
  readonly network: Network
  readonly nemeses: readonly Nemesis[]
  readonly splitAt: readonly string[]
  readonly random: () => number
}

/** A cluster in this network, started the way its nemeses need, serving. */
export async function startPrepared(options: PreparedOptions): Promise<ProcessCluster> {
  const { scope, out, network, nemeses, random } = options
  const data = await freshFolder(join(out, 'data'))
  scope.defer(data, () => rm(data, { recursive: true, force: true }))
  const plans: NodePlan[] = []
  for (let number = 1; number <= options.nodes; number++) {
    const place = network.place(number)
    const dataFolder = join(data, `node-${number}`)
    const advertise = place.advertise ?? place.listen
    plans.push({ ...place, number, dataFolder, advertise, env: {}, flags: ['--insecure'] })
  }
  for (const nemesis of nemeses) await nemesis.prepare?.({ scope, directory: data, nodes: plans, random })
  const peers = plans.map(({ peerAdvertise, peerListen }) => peerAdvertise ?? peerListen)
  const processes: NodeProcess[] = []
  for (const plan of plans) {
    const { advertise, dataFolder: directory, env, flags, number } = plan
    const logFile = join(out, `node-${number}.log`)
    // Of an earlier run there.
    await rm(logFile, { force: true })
    processes.push(new NodeProcess({ place: plan, directory, logFile, join: peers, advertise, flags, env }))
  }
  const cluster = new ProcessCluster(processes)
  scope.defer('processes', () => cluster.stop())
  network.attach(cluster.nodes)
  await cluster.begin(options.splitAt)
  return cluster
}

/** Two runs in one folder would take each other's data away. */
async function freshFolder(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  try {
    await mkdir(path)
    return path
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new Usage(
      `${path} is there already: another run is going on in that folder, or was killed. Choose another --out`,
    )
  }
}
