import type { Holdfast } from '../../src/client/index.js'
import type { HistoryLog } from '../history.js'

export interface WorkloadContext {
  /** What all clients of the run did. */
  readonly history: HistoryLog
  /** The only source of chance. */
  readonly random: () => number
  /** A connection for the n-th caller. Several share one, as the requests of an application's tasks do. */
  readonly connection: (caller: number) => Holdfast
  /** Of writes, how many are given up by their caller right after they were sent: nobody knows how those end. 0 to 1. */
  readonly hangUps: number
}

/** Something that must not be, with the lines of the history that show it. */
export interface Finding {
  readonly what: string
  /** Places in the history. */
  readonly operations: readonly number[]
}

/** Clients at work. */
export interface RunningWorkload {
  /** Ends the clients; resolves when none has an operation under way. Rejects with what one failed with. */
  stop(): Promise<void>
  /** Reads what stands now, once the cluster is whole and nobody writes any more, and says what is wrong with it. */
  check(db: Holdfast): Promise<Finding[]>
  /** What must still be seen before it may be stopped; null: nothing. Waited for when all is healed. */
  lack?(): string | null
}

/** What clients do, and what must hold of what they saw. */
export interface Workload {
  /** As on the command line; its keys begin with it. */
  readonly name: string
  /** One line for `--list`. */
  readonly about: string
  /** Keys at which ranges are cut before it begins. */
  readonly splitAt: readonly string[]
  /** A key at which a range may be cut while it runs. */
  splitKey(random: () => number): string
  /** Fills in what it needs and starts the clients. */
  start(context: WorkloadContext): Promise<RunningWorkload>
}
