import type { ConnectOptions, Holdfast, initCluster } from '../src/client/index.js'
import type { ClusterOptions } from './arguments.js'
import type { Terminal } from './terminal.js'

/** What commands are given instead of reaching for it: tests run them over a cluster of their own. */
export interface Context {
  readonly terminal: Terminal
  readonly connect: (options: ConnectOptions) => Promise<Holdfast>
  readonly initCluster: typeof initCluster
  /** Set by a command that ends well but not with 0: not found, for example. */
  exitCode: number
}

/** Connects, runs `action` and closes, whatever happens. */
export async function withCluster<T>(
  context: Context,
  options: ClusterOptions,
  action: (db: Holdfast) => Promise<T>,
): Promise<T> {
  const db = await context.connect({ endpoints: [...options.endpoint], deadlineMs: options.deadline })
  try {
    return await action(db)
  } finally {
    await db.close()
  }
}
