import type { Holdfast } from '../../src/client/index.js'
import type { Scope } from '../command.js'
import type { Network } from '../network/types.js'
import type { NodePlace, NodeProcess, ProcessCluster } from '../processes.js'

/** What a nemesis lays its hands on. Two of one family never strike at the same time. */
export const families = ['processes', 'network', 'clocks', 'disks', 'ranges'] as const
export type Family = (typeof families)[number]

/** A cluster that is about to be started: a nemesis may change how, so that it can strike later. */
export interface ClusterPlan {
  /** Removed when the run ends, however it ends. */
  readonly scope: Scope
  /** For files of nemeses and disks; removed when the run ends. */
  readonly directory: string
  /** By node, the first is number 1. */
  readonly nodes: readonly NodePlan[]
  /** The only source of chance. From 0 to 1, without 1. */
  readonly random: () => number
}

/** How a node will be started. */
export interface NodePlan extends NodePlace {
  readonly number: number
  /** What it listens on for clients. */
  readonly listen: string
  /** Where it keeps its data. Changed by a nemesis that needs a disk of its own there. */
  dataFolder: string
  /** What it tells clients to dial. */
  advertise: string
  readonly env: Record<string, string>
  readonly flags: string[]
}

/** A running cluster to be troubled. */
export interface Battlefield {
  readonly cluster: ProcessCluster
  /** A connection of the nemeses' own, with short deadlines. */
  readonly db: Holdfast
  readonly network: Network
  /** The only source of chance. From 0 to 1, without 1. */
  readonly random: () => number
  /** Keys at which a range may be cut without cutting through what a workload writes in one batch. */
  readonly splitKey: () => string
  /** Told of a call on `db` that failed. Throws what is no answer; an answer INTERNAL is a finding. */
  readonly failed: (error: unknown) => void
}

/** A fault in force. */
export interface Strike {
  /** What was done and to whom, for a person: `kill -9 of node 2 (leader)`. */
  readonly what: string
  /**
   * From now on these nodes may end by themselves, with such a last error: that is part of the fault. A supervisor starts them again,
   * after `heal` at the latest. Default: none may.
   */
  readonly mayEnd?: { readonly nodes: readonly NodeProcess[]; readonly saying: RegExp }
  /** Undoes it; every node runs afterwards, and nothing is in its way any more. Called once. */
  heal(): Promise<void>
}

/** Something that troubles a cluster for a while. */
export interface Nemesis {
  /** As on the command line. */
  readonly name: string
  /** One line for `--list`. */
  readonly about: string
  readonly family: Family
  /** It can be done only where single packets can be touched, or only where proxies stand between nodes. Default: both will do. */
  readonly medium?: 'packets' | 'proxies'
  /** The kind of disk that it gives each node: those of two kinds can't be in one run. Default: none. */
  readonly disk?: 'power' | 'losing'
  /** Nodes that it needs. Default: 3. */
  readonly nodesMin?: number
  /** Why it can't be done on this machine, in this network; null: it can. Asked before the cluster is started. */
  whyNot(network: Network): Promise<string | null>
  /** Changes how the nodes will be started. */
  prepare?(plan: ClusterPlan): Promise<void>
  /** Does it. null: it can't take effect just now (no leader, nothing to cut), and nothing was done. */
  strike(field: Battlefield): Promise<Strike | null>
}
