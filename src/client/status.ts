import type { Descriptor, NodeInfo, ReplicaDescriptor } from '../base/descriptor.js'
import type { NodeId, RangeId } from '../base/ids.js'
import type { NodeStatus, ReplicaStatus, Route } from '../kv/requests.js'
import { boundToJson, type JsonKey } from './key-json.js'

/** A node as the cluster shows it. */
export interface NodeReport {
  readonly id: number
  /** host:port for clients. */
  readonly address: string
  readonly peerAddress: string
  readonly pid: number
  /** It answered. */
  readonly up: boolean
  /** Ranges that have a replica there. */
  readonly replicas: number
  /** Ranges led there. */
  readonly leaders: number
  /** Milliseconds since it began to serve; null: it did not answer. */
  readonly uptimeMs: number | null
}

/** A range as its newest descriptor has it. */
export interface RangeInfo {
  readonly id: number
  /** In their JSON forms; null: open. */
  readonly start: JsonKey | null
  readonly end: JsonKey | null
  readonly generation: number
  /** The node that leads it; null: nobody is known to. */
  readonly leader: number | null
  /** Nodes that hold it. */
  readonly replicas: readonly number[]
}

/** How one replica stands, as its node says. */
export interface ReplicaReport {
  readonly node: number
  readonly role: ReplicaStatus['role']
  readonly term: number
  readonly applied: number
  readonly commit: number
  readonly lastIndex: number
  /** False: it was just placed, or lost its state, and waits for a snapshot. What it says of `applied` and `digest` is worth nothing then. */
  readonly hasState: boolean
  /** Over all records up to `applied`: the same on all replicas at the same `applied`. */
  readonly digest: number
}

/** A place in the range's newest descriptor. An id is never used again: one that its node lost is replaced by a new one. */
export interface MemberReport {
  readonly node: number
  readonly replica: number
  /** `incoming` and `outgoing` only while a change of voters is under way. */
  readonly role: ReplicaDescriptor['role']
}

export interface RangeReport extends RangeInfo {
  readonly members: readonly MemberReport[]
  /** Of the nodes that answered. */
  readonly states: readonly ReplicaReport[]
}

/** The cluster in JSON: what `holdfast status --json` prints. */
export interface ClusterStatus {
  readonly cluster: string
  readonly nodes: readonly NodeReport[]
  /** In key order. */
  readonly ranges: readonly RangeReport[]
}

/** What a node answered; null: it did not. */
export interface StatusAnswer {
  readonly info: NodeInfo
  readonly status: NodeStatus | null
}

/**
 * One picture out of what each node knows of itself. A range's newest descriptor is the one that counts; it is led by
 * whoever claims so in the highest term: a leader that was cut off still claims a lower one.
 */
export function mergeStatus(cluster: string, answers: readonly StatusAnswer[]): ClusterStatus {
  const seenRanges = new Map<
    number,
    { descriptor: Descriptor; leaderTerm: number; leader: NodeId | null; states: ReplicaReport[] }
  >()
  for (const { info, status } of answers) {
    for (const replica of status?.replicas ?? []) {
      const { descriptor } = replica
      let seen = seenRanges.get(descriptor.range)
      if (seen === undefined) {
        seen = { descriptor, leaderTerm: 0, leader: null, states: [] }
        seenRanges.set(descriptor.range, seen)
      }
      if (isNewer(descriptor, seen.descriptor)) seen.descriptor = descriptor
      if (replica.role === 'leader' && replica.term > seen.leaderTerm) {
        seen.leaderTerm = replica.term
        seen.leader = info.node
      }
      seen.states.push(replicaReport(info, replica))
    }
  }
  const ranges = [...seenRanges.values()]
    .sort((a, b) => (a.descriptor.span.start < b.descriptor.span.start ? -1 : 1))
    .map(({ descriptor, leader, states }) => ({
      ...rangeInfo({ descriptor, leader }),
      members: descriptor.replicas.map(({ node, replica, role }) => ({ node, replica, role })),
      states: states.sort((a, b) => a.node - b.node),
    }))
  const nodes = answers.map((answer) => nodeReport(answer, ranges)).sort((a, b) => a.id - b.id)
  return { cluster, nodes, ranges }
}

export function rangeInfo({ descriptor, leader }: Route): RangeInfo {
  const { generation, range, replicas, span } = descriptor
  return {
    id: range,
    start: boundToJson(span.start),
    end: boundToJson(span.end),
    generation,
    leader,
    replicas: replicas.map((replica) => replica.node),
  }
}

/**
 * The range as the nodes' replicas of it have it. `isNowhere`: no replica has it, and none can have been acknowledged before
 * these answers were asked for. A range is born when a leader applies the split of another; so every node has to have
 * answered, and every range there is a leader, of the highest term that any of its replicas knows, that has applied its
 * whole log: what was ever committed is in it (section 5.4 of the Raft paper).
 */
export function heldOf(
  answers: readonly StatusAnswer[],
  range: RangeId,
): { newest: Descriptor | null; isNowhere: boolean } {
  const replicas = new Map<RangeId, ReplicaStatus[]>()
  for (const replica of answers.flatMap(({ status }) => status?.replicas ?? [])) {
    const of = replica.descriptor.range
    replicas.set(of, [...(replicas.get(of) ?? []), replica])
  }
  const held = replicas.get(range) ?? []
  const [newest = null] = held
    .filter(({ hasState }) => hasState)
    .map(({ descriptor }) => descriptor)
    .sort((a, b) => (isNewer(a, b) ? -1 : 1))
  const haveAnswered = answers.every(({ status }) => status !== null)
  return { newest, isNowhere: held.length === 0 && haveAnswered && [...replicas.values()].every(hasAppliedAll) }
}

function hasAppliedAll(replicas: readonly ReplicaStatus[]): boolean {
  const newestTerm = Math.max(...replicas.map(({ term }) => term))
  return replicas.some(
    ({ applied, lastIndex, role, term }) => role === 'leader' && term === newestTerm && applied === lastIndex,
  )
}

function nodeReport({ info, status }: StatusAnswer, ranges: readonly RangeInfo[]): NodeReport {
  // A node that answered knows its own address and process best.
  const { clientAddress, node, peerAddress, pid } = status?.node ?? info
  return {
    id: node,
    address: clientAddress,
    peerAddress,
    pid,
    up: status !== null,
    replicas: ranges.filter((range) => range.replicas.includes(node)).length,
    leaders: ranges.filter((range) => range.leader === node).length,
    uptimeMs: status?.uptimeMs ?? null,
  }
}

function replicaReport(info: NodeInfo, replica: ReplicaStatus): ReplicaReport {
  const { applied, commit, digest, hasState, lastIndex, role, term } = replica
  return { node: info.node, role, term, applied, commit, lastIndex, hasState, digest }
}

function isNewer(a: Descriptor, b: Descriptor): boolean {
  return a.generation !== b.generation ? a.generation > b.generation : a.epoch > b.epoch
}
