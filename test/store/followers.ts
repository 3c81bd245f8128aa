import type { LogIndex, NodeId, RangeId, ReplicaId, Term } from '../../src/base/ids.js'
import type { Append, Entry, Message, PreVote, Vote } from '../../src/raft/types.js'
import type { PeerMessage } from '../../src/store/ports.js'
import { type Bench, BOOT } from './bench.js'
import { DATA } from './requests.js'

const SELF = 1 as ReplicaId

function head(from: number, term: number, range: RangeId) {
  return { range, from: from as ReplicaId, to: SELF, boot: BOOT, term: term as Term }
}

/** An append as the leader on `from` sends it. */
export function append(
  from: number,
  term: number,
  entries: readonly Entry[],
  parts: { commit?: number; allPersisted?: number; previousTerm?: number; range?: RangeId } = {},
): Append {
  const previousIndex = ((entries[0]?.index ?? 1) - 1) as LogIndex
  return {
    type: 'append',
    ...head(from, term, parts.range ?? DATA),
    previousIndex,
    previousTerm: (parts.previousTerm ?? (previousIndex === 0 ? 0 : term)) as Term,
    entries,
    commit: (parts.commit ?? 0) as LogIndex,
    allPersisted: (parts.allPersisted ?? 0) as LogIndex,
  }
}

export function vote(from: number, term: number, parts: Partial<Vote> = {}): Vote {
  const last = { lastIndex: 0 as LogIndex, lastTerm: 0 as Term }
  return { type: 'vote', ...head(from, term, DATA), ...last, transfer: false, ...parts }
}

export function preVote(from: number, term: number, parts: Partial<PreVote> = {}): PreVote {
  const last = { lastIndex: 0 as LogIndex, lastTerm: 0 as Term }
  return { type: 'preVote', ...head(from, term, DATA), ...last, ...parts }
}

export function heartbeat(from: number, term: number, range: RangeId = DATA): Message {
  const nothing = { commit: 0 as LogIndex, allPersisted: 0 as LogIndex }
  return { type: 'heartbeat', ...head(from, term, range), ...nothing, round: 1 }
}

/**
 * The other nodes of a bench, as followers that elect node 1 and take what it sends: they answer at once and remember
 * nothing but how long their logs are. `deafTo` makes them ignore kinds of messages, `mute` nodes answer nothing.
 */
export class Followers {
  readonly deafTo = new Set<PeerMessage['type']>()
  readonly mute = new Set<number>()
  readonly #ends = new Map<string, number>()

  constructor(bench: Bench) {
    bench.onSent((to, message) => {
      if (this.deafTo.has(message.type) || this.mute.has(to)) return
      const answer = this.#answer(to, message)
      if (answer !== null) bench.scheduler.schedule(0.1, () => bench.receive(to, answer))
    })
  }

  #answer(node: NodeId, message: PeerMessage): PeerMessage | null {
    switch (message.type) {
      case 'preVote':
        return { type: 'preVoteReply', ...this.#back(message), granted: true }
      case 'vote':
        return { type: 'voteReply', ...this.#back(message), granted: true }
      case 'append': {
        const matchIndex = (message.previousIndex + message.entries.length) as LogIndex
        const log = `${node}/${message.range}`
        this.#ends.set(log, Math.max(this.#ends.get(log) ?? 0, matchIndex))
        return { type: 'appendAccepted', ...this.#back(message), matchIndex }
      }
      case 'heartbeat': {
        const lastIndex = (this.#ends.get(`${node}/${message.range}`) ?? 0) as LogIndex
        return { type: 'heartbeatReply', ...this.#back(message), round: message.round, lastIndex, needsSnapshot: false }
      }
      default:
        return null
    }
  }

  #back({ range, from, to, term }: Message) {
    return { range, from: to, to: from, boot: BOOT, term }
  }
}
