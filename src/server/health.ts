import type { RangeId } from '../base/ids.js'
import type { StoreFigures } from '../store/figures.js'

/** Starting: not a member yet, or its replicas are not open. Draining: asked to stop. */
export type Phase = 'starting' | 'running' | 'draining'

/** Whether traffic should be sent to this node. */
export type Readiness =
  | { readonly ready: true }
  | {
      readonly ready: false
      readonly reason: 'starting' | 'draining' | 'no cluster' | 'disk full' | 'ranges without a known leader'
      readonly ranges?: readonly RangeId[]
    }

/** `isMember`: it has a node id. `figures` null: its replicas are not open. */
export function readinessOf(node: {
  readonly phase: Phase
  readonly isMember: boolean
  readonly figures: StoreFigures | null
}): Readiness {
  if (node.phase === 'draining') return { ready: false, reason: 'draining' }
  if (node.phase === 'running' && !node.isMember) return { ready: false, reason: 'no cluster' }
  if (node.phase === 'starting' || node.figures === null) return { ready: false, reason: 'starting' }
  const { diskFull, leaderless } = node.figures
  if (diskFull) return { ready: false, reason: 'disk full' }
  if (leaderless.length > 0) return { ready: false, reason: 'ranges without a known leader', ranges: leaderless }
  return { ready: true }
}
