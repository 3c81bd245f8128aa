import type { ClusterStatus } from '../../src/client/index.js'
import { nodesTable } from '../status-tables.js'
import type { DevState } from './layout.js'

/** What a person sees once the cluster serves: who is there, and five commands to try. */
export function greeting(status: ClusterStatus, state: Pick<DevState, 'nodes'>, command: string): string {
  const [first] = state.nodes
  const endpoint = first!.port === 7400 ? '' : ` -e 127.0.0.1:${first!.port}`
  const data = status.ranges.length - 1
  return `
${nodesTable(status)}
${status.ranges.length} ranges: the meta range and ${data} for data. Try:

  ${command} put greeting hello${endpoint}
  ${command} get greeting${endpoint}
  ${command} scan${endpoint}
  ${command} status${endpoint}
  ${command} bench --seconds 3${endpoint}

Metrics of each node: ${state.nodes.map(({ httpPort }) => `http://127.0.0.1:${httpPort}/metrics`).join(' ')}
Ctrl-C stops all nodes; the data stays for the next start.

`
}
