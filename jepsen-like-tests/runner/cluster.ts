import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '../command.js'
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
  const data = join(out, 'data')
  await mkdir(data, { recursive: true })
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
  const cluster = new ProcessCluster(
    plans.map(
      (plan) =>
        new NodeProcess({
          place: plan,
          directory: plan.dataFolder,
          logFile: join(out, `node-${plan.number}.log`),
          join: peers,
          advertise: plan.advertise,
          flags: plan.flags,
          env: plan.env,
        }),
    ),
  )
  scope.defer('processes', () => cluster.stop())
  network.attach(cluster.nodes)
  await cluster.begin(options.splitAt)
  return cluster
}
