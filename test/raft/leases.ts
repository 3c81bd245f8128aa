import { assert } from '../../src/base/assert.js'
import type { Node } from './node.js'
import { testConfig } from './node.js'

/**
 * The lease that a store would build on the rounds of a leader (thesis 6.4.1): from the tick at which a round left that a
 * majority answered, for the shortest election timeout. While it lasts nobody else is elected. All clocks must go alike.
 */
export class Leases {
  now = 0
  extended = 0
  readonly #terms = new Map<Node['up'], { readonly term: number; readonly left: number[]; until: number }>()

  moved({ raft }: Node): void {
    if (raft?.role !== 'leader') return
    const lease = this.#of(raft)
    const { last, confirmed } = raft.readRounds
    while (lease.left.length < last) lease.left.push(this.now)
    if (confirmed === 0 || !raft.mayLease) return
    const until = lease.left[confirmed - 1]! + testConfig.electionTicksMin
    if (until > lease.until) this.extended += 1
    lease.until = until
  }

  elected(node: Node, leaders: readonly Node[]): void {
    for (const { raft, id } of leaders) {
      if (raft === null || raft === node.raft || raft.term > node.up.term || !raft.mayLease) continue
      assert(this.now >= this.#of(raft).until, 'elected within a lease', node.id, id, this.now)
    }
  }

  #of(raft: Node['up']) {
    const known = this.#terms.get(raft)
    if (known?.term === raft.term) return known
    const lease = { term: raft.term, left: [], until: 0 }
    this.#terms.set(raft, lease)
    return lease
  }
}
