import type { ClusterStatus } from '../src/client/index.js'
import { showKey } from './keys.js'
import { oneLine, table } from './tables.js'

export function nodesTable(status: ClusterStatus): string {
  return table(
    ['NODE', 'ADDRESS', 'PEER ADDRESS', 'PID', 'STATE', 'REPLICAS', 'LEADERS'],
    status.nodes.map((node) => [
      node.id,
      node.address,
      node.peerAddress,
      node.pid ?? '-',
      node.up ? 'up' : 'no answer',
      node.replicas,
      node.leaders,
    ]),
  )
}

export function rangesTable(status: ClusterStatus): string {
  return table(
    ['RANGE', 'START', 'END', 'GENERATION', 'LEADER', 'REPLICAS'],
    status.ranges.map((range) => [
      range.id,
      range.start === null ? '-∞' : oneLine(showKey(range.start)),
      oneLine(showKey(range.end)),
      range.generation,
      range.leader === null ? 'none' : `node ${range.leader}`,
      range.replicas.map((node) => (hasNoState(range, node) ? `${node} (no state)` : node)).join(' '),
    ]),
  )
}

/** As its node says: it waits for a snapshot. */
function hasNoState({ states }: ClusterStatus['ranges'][number], node: number): boolean {
  return states.some((state) => state.node === node && !state.hasState)
}

export function summary(status: ClusterStatus): string {
  const up = status.nodes.filter((node) => node.up).length
  const led = status.ranges.filter((range) => range.leader !== null).length
  return `cluster ${status.cluster}: ${up} of ${status.nodes.length} nodes answer, ${led} of ${status.ranges.length} ranges have a leader`
}
