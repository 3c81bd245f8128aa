import { assert } from '../../src/base/assert.js'
import type { ReplicaId } from '../../src/base/ids.js'
import { mayFollow } from '../../src/raft/configurations.js'
import { allReplicas } from '../../src/raft/quorum.js'
import type { Configuration } from '../../src/raft/types.js'
import type { Checker } from './checker.js'
import type { Cluster } from './cluster.js'
import type { Node } from './node.js'

const REPLICAS_MAX = 6

/** Changes the replicas of a cluster at random, and loses their disks within what must be survived. */
export class Membership {
  readonly #cluster: Cluster
  readonly #checker: Checker
  readonly #gone = new Set<ReplicaId>()
  /** Changes that a leader took. */
  changes = 0
  wipes = 0

  constructor(cluster: Cluster, checker: Checker) {
    this.#cluster = cluster
    this.#checker = checker
  }

  isGone(id: ReplicaId): boolean {
    return this.#gone.has(id)
  }

  /** Its disk is lost. Its id is never heard of again, for it may have forgotten a vote. */
  wipe(node: Node): void {
    if (!this.#mayLose(node)) return
    node.crash()
    this.#gone.add(node.id)
    this.wipes += 1
  }

  /** Its state store is lost, its log is not. */
  loseState(node: Node): void {
    if (node.raft === null || node.disk.state === null || !this.#mayLose(node)) return
    node.crash()
    node.isStateLost = true
    node.start()
    this.#checker.started(node)
  }

  /** At most one voter at a time has lost something, in the eyes of everybody. */
  #mayLose(node: Node): boolean {
    for (const { raft, disk } of this.#cluster.nodes.values()) {
      const { voters, outgoing } = raft?.configuration ?? disk.configuration
      for (const set of [voters, outgoing]) {
        if (set.length < 3 && set.includes(node.id)) return false
        if (set.some((id) => id !== node.id && this.#hasLost(id))) return false
      }
    }
    return this.#cluster.leaders.length > 0 && !this.#hasLost(node.id)
  }

  #hasLost(id: ReplicaId): boolean {
    return this.#gone.has(id) || this.#cluster.node(id).isStateLost
  }

  /** Proposes what may come next, and now and then what may not. */
  change(leader: Node, choice: number): void {
    const { up } = leader
    const { configuration } = up
    if ([...allReplicas(configuration)].some((id) => this.#hasLost(id))) return this.mend(leader)
    if (choice % 7 === 0) return this.#proposeWild(up, choice)
    if (configuration.outgoing.length > 0) this.#propose(up, { ...configuration, outgoing: [] })
    else if (choice % 2 === 0) this.#changeLearners(up, choice)
    else if (choice % 3 === 0) this.#propose(up, oneVoterMoved(configuration, choice))
    else this.#propose(up, joint(configuration, choice))
  }

  /** Leaves a joint change, and replaces who is gone. */
  mend({ up }: Node): void {
    const { configuration } = up
    const { voters, outgoing, learners } = configuration
    if (!up.canChangeConfiguration()) return
    const gone = voters.find((id) => this.#gone.has(id))
    const [learner] = learners
    if (outgoing.length > 0) this.#propose(up, { ...configuration, outgoing: [] })
    else if (learner !== undefined && this.#gone.has(learner)) this.#propose(up, { ...configuration, learners: [] })
    else if (gone === undefined) return
    else if (learner === undefined) this.#addLearner(up)
    else if (up.status().progress.some(({ replica, match }) => replica === learner && match > 0)) {
      const others = voters.filter((id) => id !== gone)
      this.#propose(up, { voters: [...others, learner], outgoing: voters, learners: learners.slice(1) })
    }
  }

  #changeLearners(up: Node['up'], choice: number): void {
    const { configuration } = up
    const { learners } = configuration
    if (learners.length > 0 && choice % 3 === 0) {
      this.#propose(up, { ...configuration, learners: learners.slice(1) })
    } else if (allReplicas(configuration).size < REPLICAS_MAX) this.#addLearner(up)
  }

  #addLearner(up: Node['up']): void {
    const id = (Math.max(...this.#cluster.nodes.keys()) + 1) as ReplicaId
    const { configuration } = up
    if (!this.#propose(up, { ...configuration, learners: [...configuration.learners, id] })) return
    this.#place(id)
  }

  /** It is made without a state, and keeps nothing before it has one. */
  #place(id: ReplicaId): void {
    const node = this.#cluster.place(id, null)
    node.start()
    this.#checker.started(node)
  }

  #propose(up: Node['up'], next: Configuration): boolean {
    const node = this.#cluster.up.find(({ raft }) => raft === up)!
    const isTaken = this.#cluster.change(node, next)
    if (isTaken) this.changes += 1
    return isTaken
  }

  /** Any configuration at all: taken only if it may follow. */
  #proposeWild(up: Node['up'], choice: number): void {
    const ids = [...this.#cluster.nodes.keys()]
    const some = (n: number) => ids.filter((_, at) => Math.floor(n / 2 ** at) % 2 === 1)
    const before = up.configuration
    const next = { voters: some(choice), outgoing: some(Math.floor(choice / 3)), learners: [] }
    const isTaken = this.#propose(up, next)
    assert(!isTaken || mayFollow(before, next), 'a configuration that does not follow', before, next)
  }
}

function joint(configuration: Configuration, choice: number): Configuration {
  const { voters, learners } = configuration
  const leaving = voters.filter((_, at) => voters.length > 1 && at === choice % voters.length)
  const staying = voters.filter((id) => !leaving.includes(id))
  return { voters: [...staying, ...learners], outgoing: voters, learners: [] }
}

function oneVoterMoved(configuration: Configuration, choice: number): Configuration {
  const { voters, learners } = configuration
  const [learner, ...others] = learners
  if (learner !== undefined) return { voters: [...voters, learner], outgoing: [], learners: others }
  const at = choice % voters.length
  return { voters: voters.length > 2 ? voters.filter((_, n) => n !== at) : voters, outgoing: [], learners }
}
