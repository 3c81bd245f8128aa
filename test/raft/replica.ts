import type { BootId, LogIndex, Term, Version } from '../../src/base/ids.js'
import type { Configuration, Entry, InitialState, Message, RaftConfig } from '../../src/raft/types.js'
import { replica } from './configuration.js'
import { Node, RANGE, seededRandom } from './node.js'

type Envelope = 'range' | 'from' | 'to' | 'boot'
type Body<M> = M extends { needsSnapshot: boolean }
  ? Omit<M, Envelope | 'needsSnapshot'> & { readonly needsSnapshot?: boolean }
  : M extends Message
    ? Omit<M, Envelope>
    : never
/** A message as a test writes it: from whom, and what it says. */
export type Said = Body<Message> & { readonly from: number; readonly boot?: number }

export interface ReplicaOptions {
  readonly configuration: Configuration
  /** The term of each entry on its disk, from index 1. */
  readonly log?: readonly number[]
  readonly term?: number
  readonly vote?: number
  readonly commit?: number
  readonly applied?: number
  readonly config?: Partial<RaftConfig>
  readonly start?: InitialState['start']
  /** Its log has been kept since before its id was given. */
  readonly vouched?: boolean
  /** It was started just now: for one election timeout it votes for nobody. */
  readonly fresh?: boolean
}

export const index = (value: number) => value as LogIndex
export const term = (value: number) => value as Term

export function entry(at: { index: number; term: number; bytes?: number }): Entry {
  const payload = new Uint8Array(at.bytes ?? 1)
  const timestamp = (at.term * 1_000 + at.index) as Version
  return { index: index(at.index), term: term(at.term), timestamp, kind: 'commands', payload }
}

/** Entries with the given terms, from `first` on. */
export function entries(first: number, terms: readonly number[]): readonly Entry[] {
  return terms.map((term, offset) => entry({ index: first + offset, term }))
}

/** Replica 1 alone with its disk; the test plays all others. */
export class Replica extends Node {
  constructor(options: ReplicaOptions) {
    super(1, options.configuration.voters.length === 0 ? null : options.configuration, seededRandom(11), options.config)
    this.isVouched = options.vouched ?? false
    const log = entries(1, options.log ?? [])
    const vote = options.vote === undefined ? null : replica(options.vote)
    const hardState = { term: term(options.term ?? log.at(-1)?.term ?? 0), vote, commit: index(options.commit ?? 0) }
    this.disk.write({ hardState, restored: null, entries: log })
    if (options.applied !== undefined) this.disk.checkpointTo(log.slice(0, options.applied))
    this.start(options.start, options.start === undefined && options.fresh !== true)
  }

  hear(...said: readonly Said[]): void {
    for (const { boot, ...message } of said) this.up.step(this.#envelope(message, boot))
  }

  tick(times: number): void {
    for (let n = 0; n < times; n += 1) this.up.tick()
  }

  /** Its wait for a leader ends. */
  loseLeader(): void {
    while (this.up.role === 'follower') this.up.tick()
  }

  /** Everything it sends once all is written, in order. */
  said(): readonly Message[] {
    const messages: Message[] = []
    for (;;) {
      const ready = this.take()
      if (ready === null) return messages
      messages.push(...ready.sendNow)
      while (this.inFlight.length > 0) messages.push(...this.persist())
    }
  }

  /** Makes it the leader of the next term by the votes of `voters`, its no-op written but acknowledged by nobody. */
  lead(...voters: readonly number[]): readonly Message[] {
    this.loseLeader()
    this.said()
    const next = term(this.up.role === 'preCandidate' ? this.up.term + 1 : this.up.term)
    if (this.up.role === 'preCandidate') {
      this.hear(...voters.map((from) => ({ type: 'preVoteReply', from, term: next, granted: true }) as const))
      this.said()
    }
    this.hear(...voters.map((from) => ({ type: 'voteReply', from, term: next, granted: true }) as const))
    if (this.up.role !== 'leader') throw new Error(`not elected, but ${this.up.role}`)
    return this.said()
  }

  accepted(from: number, matchIndex: number): void {
    this.hear({ type: 'appendAccepted', from, term: this.up.term, matchIndex: index(matchIndex) })
  }

  propose(bytes = 1): void {
    const timestamp = (this.up.lastTimestamp + 1) as Version
    this.up.propose({ kind: 'commands', timestamp, payload: new Uint8Array(bytes) })
  }

  #envelope(said: Omit<Said, 'boot'>, boot: number | undefined): Message {
    const answers = said.type === 'appendRejected' || said.type === 'heartbeatReply' ? { needsSnapshot: false } : {}
    return { range: RANGE, to: this.id, boot: (boot ?? said.from) as BootId, ...answers, ...said } as Message
  }
}

/** Only messages of this type. */
export function only<T extends Message['type']>(
  messages: readonly Message[],
  type: T,
): Extract<Message, { type: T }>[] {
  return messages.filter((message): message is Extract<Message, { type: T }> => message.type === type)
}
