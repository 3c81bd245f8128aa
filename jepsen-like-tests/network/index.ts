import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { Nemesis } from '../nemeses/types.js'
import { NamespaceNetwork, noNamespaces } from './namespaces.js'
import { ProxyNetwork } from './proxies.js'
import type { Network, NetworkOptions } from './types.js'

/** Set in a process that has a network namespace of its own. (HOLDFAST_… would be a setting of the nodes.) */
const MARK = 'JEPSEN_NAMESPACE'

/**
 * Runs this very program again in a network namespace of its own, if the machine has those, and resolves to its exit code. null: this
 * process is to go on itself.
 */
export async function inOwnNetwork(): Promise<number | null> {
  if (process.env[MARK] !== undefined) {
    // The process outside holds the other end.
    await promisify(execFile)('ip', ['link', 'set', 'lo', 'up'])
    process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume()
    return null
  }
  const reason = await noNamespaces()
  if (reason !== null) {
    console.log(`no network namespaces: ${reason}; nodes stand behind proxies`)
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

/** Namespaces where there are any, proxies where not, and where a nemesis can do without packets but not without proxies. */
export function makeNetwork(options: NetworkOptions, nemeses: readonly Nemesis[]): Promise<Network> {
  const wants = (medium: Nemesis['medium']): boolean => nemeses.some((nemesis) => nemesis.medium === medium)
  const wantsProxies = wants('proxies') && !wants('packets')
  return process.env[MARK] === undefined || wantsProxies ? ProxyNetwork.make(options) : NamespaceNetwork.make(options)
}
