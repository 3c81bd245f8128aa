import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Scope } from '../command.js'
import { LoopbackNetwork } from './loopback.js'
import { NamespaceNetwork, noNamespaces } from './namespaces.js'
import type { Network } from './types.js'

/** Set in a process that has a network namespace of its own. (HOLDFAST_… would be a setting of the nodes.) */
const MARK = 'JEPSEN_NAMESPACE'

/**
 * Runs this very program again in a network namespace of its own, if the machine has those, and resolves to its exit code. null: this
 * process is to go on itself.
 */
export async function inOwnNetwork(): Promise<number | null> {
  if (process.env[MARK] !== undefined) {
    // The process outside holds the other end.
    process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume()
    return null
  }
  const reason = await noNamespaces()
  if (reason !== null) {
    console.log(`no network namespaces: ${reason}`)
    return null
  }
  const command = ['--net', process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', command, {
    stdio: ['pipe', 'inherit', 'inherit'],
    env: { ...process.env, [MARK]: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

export function makeNetwork(scope: Scope, nodes: number): Promise<Network> {
  return process.env[MARK] === undefined ? LoopbackNetwork.make(nodes) : NamespaceNetwork.make(scope, nodes)
}
