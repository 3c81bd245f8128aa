import type { Key } from '../src/base/ids.js'
import type { ConnectOptions, Holdfast } from '../src/client/index.js'
import { type ClusterOptions, endpointsOf } from './arguments.js'
import type { Terminal } from './terminal.js'

export interface InitOptions {
  readonly replicas?: number
  /** Stored keys at which the data is cut into ranges from the start. */
  readonly splitAt?: readonly Key[]
  readonly deadlineMs?: number
}

export interface Born {
  readonly cluster: string
  readonly nodes: readonly { readonly node: number; readonly clientAddress: string; readonly peerAddress: string }[]
}

/** What commands are given instead of reaching for it: tests run them over a cluster of their own. */
export interface Context {
  readonly terminal: Terminal
  readonly connect: (options: ConnectOptions) => Promise<Holdfast>
  readonly initCluster: (addresses: readonly string[], options: InitOptions) => Promise<Born>
  /** Set by a command that ends well but not with 0: not found, for example. */
  exitCode: number
}

/** Connects, runs `action` and closes, whatever happens. */
export async function withCluster<T>(
  context: Context,
  options: ClusterOptions,
  action: (db: Holdfast) => Promise<T>,
): Promise<T> {
  const db = await context.connect({
    endpoints: endpointsOf(options, context.terminal.env),
    deadlineMs: options.deadline,
  })
  try {
    return await action(db)
  } finally {
    await db.close()
  }
}
