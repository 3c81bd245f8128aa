import type { ClusterCheckers } from './checkers/cluster.js'
import { deepFreeze } from './freeze.js'
import type { NodeObserver, SimNode } from './node.js'
import type { Phases } from './phases.js'
import type { Scheduler } from './scheduler.js'
import type { Trace } from './trace.js'

interface ObserverParts {
  readonly scheduler: Scheduler
  readonly trace: Trace
  readonly checkers: ClusterCheckers
  /** Freeze messages, so that changing them throws. */
  readonly freeze: boolean
  /** Made after the nodes are. */
  phases(): Phases
  report(violation: string): void
  kill(id: number): void
  crash(id: number): void
  onKeptOut(node: SimNode, why: string): void
}

/** Hands what nodes do to the trace and the checkers, and takes down those that may not go on. */
export function observerOf(parts: ObserverParts): NodeObserver {
  const { scheduler, trace, checkers, freeze } = parts
  const saw = (node: SimNode, what: string) => trace.event(scheduler.nowMs, node.place, what)
  /** When whatever runs now has returned. */
  const afterwards = (action: () => void) => void scheduler.schedule(0, action, true)
  return {
    opened: (node, log) => checkers.opened(node.id, log),
    logs: (node, items) => {
      trace.event(scheduler.nowMs, node.place, 'log', items.length, ...items.slice(0, 4).map((item) => item.kind))
      return checkers.logs.wrote(node.id, items)
    },
    sends: (node, messages) => {
      if (freeze) deepFreeze(messages)
      checkers.sent(node.id, messages)
    },
    applied: (node, replica, applied) => {
      const { range, index, term, clock, digest } = checkers.appliedBy(node.id, replica, applied)
      trace.event(scheduler.nowMs, node.place, 'applied', range, index, term, clock, digest)
    },
    stores: (node, keys) => checkers.stored(node.id, [...(node.store?.replicas ?? [])], keys),
    serves: (node) => {
      saw(node, 'serves')
      parts.phases().served(node, (range) => checkers.applied.highest(range))
    },
    forgot: (node) => {
      saw(node, 'forgot')
      checkers.wiped(node.id)
    },
    /** A failed sync ends the process, and must; anything else that does is a bug. */
    failed: (node, reason) => {
      if (!node.disk.hasFailed) return parts.report(`${node.place} failed: ${reason}`)
      saw(node, 'ended itself')
      afterwards(() => parts.kill(node.id))
    },
    keptOut: (node, why) => {
      saw(node, 'kept out')
      afterwards(() => {
        parts.crash(node.id)
        parts.onKeptOut(node, why)
      })
    },
  }
}
