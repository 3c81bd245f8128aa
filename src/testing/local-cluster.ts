import type { LocalCluster, LocalClusterOptions } from '../server/local-cluster.js'

export type { LocalCluster, LocalClusterOptions } from '../server/local-cluster.js'

/**
 * A real cluster in this process, for a unit test, in one line: nodes on free ports of the loopback interface, with data in a temporary
 * directory. All is real: disk, fsync, sockets, elections. Nothing is left when `stop` has resolved: no file, port or timer.
 *
 * ```ts
 * await using cluster = await startLocalCluster()
 * await cluster.db.put('greeting', 'hello')
 * ```
 */
export async function startLocalCluster(options: LocalClusterOptions = {}): Promise<LocalCluster> {
  // Loaded when it is asked for: who only simulates needs neither sockets nor LevelDB.
  const server = await import('../server/local-cluster.js')
  return server.startLocalCluster(options)
}
