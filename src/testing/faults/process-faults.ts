import { assertNever } from '../../base/assert.js'
import type { Deed, Fault, Target } from '../fault-plan.js'
import type { SimNode } from '../node.js'
import type { FaultTools, Undo } from './tools.js'

export type ProcessFault = Fault & {
  kind: 'crash' | 'kill' | 'off' | 'pause' | 'slow' | 'clock' | 'drift' | 'transfer' | 'drain'
}

/** Does to the nodes' processes what a plan says. */
export class ProcessFaults {
  readonly #tools: FaultTools

  constructor(tools: FaultTools) {
    this.#tools = tools
  }

  do(fault: ProcessFault): Undo {
    switch (fault.kind) {
      case 'crash':
        return this.#end(fault.targets, (id) => this.#tools.cluster.crash(id))
      case 'kill':
        return this.#end(fault.targets, (id) => this.#tools.cluster.kill(id))
      case 'off':
        return this.#end([fault.target], (id) => this.#tools.cluster.switchOff(id))
      case 'pause':
        return this.#pause(fault)
      case 'slow':
        return this.#onServing(fault.target, (node) => node.slowDown(fault.factor))
      case 'clock':
        return this.#onServing(fault.target, (node) => node.jumpClock(fault.byMs))
      case 'drift':
        return this.#onServing(fault.target, (node) => node.drift(fault.rate))
      case 'transfer':
        return this.#onServing(fault.target, (node) => this.#transfer(node))
      case 'drain':
        return this.#onServing(fault.target, (node) => this.#drain(node))
      default:
        return assertNever(fault)
    }
  }

  heal(): void {
    for (const { id } of this.#tools.cluster.nodes) {
      this.#tools.restart(id)
      this.#tools.cluster.resume(id)
    }
  }

  #end(targets: readonly Target[], end: (id: number) => void): Undo {
    const { cluster } = this.#tools
    const struck = this.#tools.resolve(targets).filter((id) => cluster.node(id).isUp)
    for (const id of struck) end(id)
    if (struck.length === 0) return null
    return () => {
      for (const id of struck) this.#tools.restart(id)
    }
  }

  #pause({ targets, suspended }: Deed & { kind: 'pause' }): Undo {
    const { cluster } = this.#tools
    const struck = this.#tools.resolve(targets).filter((id) => cluster.node(id).isUp && !cluster.node(id).isPaused)
    for (const id of struck) cluster.pause(id, { suspended })
    if (struck.length === 0) return null
    return () => {
      for (const id of struck) cluster.resume(id)
    }
  }

  #onServing(target: Target, act: (node: SimNode) => Undo): Undo {
    const node = this.#tools.cluster.node(this.#tools.resolve([target])[0]!)
    return node.serves && !node.isPaused ? act(node) : null
  }

  /** To any of the others, also one that is down. */
  #transfer(node: SimNode): Undo {
    const led = [...node.store!.replicas].filter(({ leads }) => leads)
    let begun = 0
    node.listener!.process.enter(() => {
      for (const replica of led) {
        const { voters } = replica.raft.configuration
        replica.takeTicks()
        const others = voters.filter((id) => id !== replica.id)
        if (replica.raft.transferLead(this.#tools.random.pick(others))) begun++
      }
    })
    return begun === 0 ? null : () => {}
  }

  #drain(node: SimNode): Undo {
    const { cluster } = this.#tools
    const { store, listener } = node
    const end = (): void => {
      if (node.listener === listener) cluster.crash(node.id)
    }
    // The process ends after the turn in which it said that it is done.
    const ended = () => void cluster.scheduler.schedule(0, end)
    listener!.process.enter(() => store!.drain(() => store!.stop(ended)))
    return () => {
      end()
      this.#tools.restart(node.id)
    }
  }
}
