import { assert } from '../base/assert.js'
import { type BootId, type LogIndex, NO_INDEX, type ReplicaId } from '../base/ids.js'
import type { RaftConfig } from './types.js'

/** A wait for an answer is over after this many heartbeat intervals: the append or its answer was lost. */
const QUIET_INTERVALS = 2
/** A replica that was sent a whole snapshot has this many election timeouts to make it durable before another one is sent. */
const INSTALL_TIMEOUTS = 8

/**
 * What a leader knows of one other replica in its term. Invariant: 0 <= match < next.
 *
 * probe: the place where the logs part is unknown; one append at a time, then wait.
 * replicate: appends are sent ahead of their acknowledgements, within the window.
 * snapshot: what it lacks is no longer in the log, or it has no state at all; no appends until it has taken a snapshot in.
 */
export class Progress {
  readonly replica: ReplicaId
  readonly #config: RaftConfig
  #boot: BootId | null = null
  #state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  #match: LogIndex = NO_INDEX
  #next: LogIndex
  /** Probe only: an append is on its way. */
  #paused = false
  /** Replicate only: appends not acknowledged yet, oldest first. */
  readonly #inFlight: { readonly lastIndex: LogIndex; readonly bytes: number }[] = []
  #bytesInFlight = 0
  #quietIntervals = 0
  #forgotten = false
  /** Match known when the heartbeats of round #markRound left (0: none is watched). */
  #markRound = 0
  #markMatch: LogIndex = NO_INDEX
  /** 'running' from the moment the caller is asked for it until it says what became of it. */
  #stream: 'none' | 'wanted' | 'running' = 'none'
  /** No other stream before this tick. */
  #streamFromTick = 0
  /** Highest round this replica has answered. */
  confirmedRound = 0
  /** The leader's tick when this replica last answered. */
  heardTick: number

  constructor(replica: ReplicaId, next: LogIndex, config: RaftConfig, tick: number) {
    this.replica = replica
    this.#next = next
    this.#config = config
    this.heardTick = tick
  }

  get match(): LogIndex {
    return this.#match
  }

  get next(): LogIndex {
    return this.#next
  }

  get state(): 'probe' | 'replicate' | 'snapshot' {
    return this.#state
  }

  /**
   * It has less than it acknowledged: it may have forgotten votes too, and counts for nothing. A second line: where the caller keeps out
   * nodes whose log lost something (decision 0009), no such answer comes.
   */
  get forgotten(): boolean {
    return this.#forgotten
  }

  /** What was learned from one boot says nothing about the next: says whether its place in the log is to be found again. */
  sawBoot(boot: BootId): boolean {
    if (this.#boot === boot) return false
    const isRestart = this.#boot !== null
    this.#boot = boot
    if (isRestart) {
      this.becomeProbe()
      this.#match = NO_INDEX
      this.#markRound = 0
    }
    return isRestart
  }

  /** `next` stays: if what was sent up to it got lost, the refusal of the probe says from where on. */
  becomeProbe(): void {
    this.#state = 'probe'
    this.#paused = false
    this.#clearWindow()
  }

  /** Probes at this place, which lies above the one it would have taken. */
  probeFrom(next: LogIndex): void {
    assert(this.#state === 'probe' && next > this.#next, 'probes backwards', next, this.#next)
    this.#next = next
  }

  becomeSnapshot(): void {
    this.#state = 'snapshot'
    this.#clearWindow()
    if (this.#stream === 'none') this.#stream = 'wanted'
  }

  /** It says whether its state is missing. Its log may be whole, so appends go on. */
  wantsSnapshot(isWanted: boolean): void {
    if (this.#state === 'snapshot' || this.#stream === 'running') return
    this.#stream = isWanted ? 'wanted' : 'none'
  }

  /** Is a snapshot to be streamed now? Says so once. */
  maybeStream(tick: number): boolean {
    if (this.#stream !== 'wanted' || this.#forgotten || tick < this.#streamFromTick) return false
    this.#stream = 'running'
    return true
  }

  /** The stream ended: all of it was taken in, so it is probed behind it; or it failed, and waits for an election timeout. */
  streamed(done: { readonly index: LogIndex } | null, tick: number): void {
    if (this.#stream !== 'running') return
    this.#stream = 'none'
    this.#streamFromTick = tick + this.#config.electionTicksMin * (done === null ? 1 : INSTALL_TIMEOUTS)
    if (done === null || this.#state !== 'snapshot') return
    this.becomeProbe()
    if (this.#next <= done.index) this.#next = (done.index + 1) as LogIndex
  }

  /** Probe, but not before it answers a heartbeat again. */
  becomeUnreachable(): void {
    if (this.#state === 'snapshot') return
    this.becomeProbe()
    this.#paused = true
    this.#quietIntervals = QUIET_INTERVALS
  }

  /** May an append leave? `last` is the leader's last index. */
  canSend(last: LogIndex): boolean {
    if (this.#forgotten) return false
    if (this.#state === 'probe') return !this.#paused
    if (this.#state === 'snapshot') return false
    return (
      this.#next <= last &&
      this.#inFlight.length < this.#config.appendMessagesInFlightMax &&
      this.#bytesInFlight < this.#config.appendBytesInFlightMax
    )
  }

  /** An append of next..lastIndex leaves (lastIndex = next - 1: an empty one). */
  sent(lastIndex: LogIndex, bytes: number): void {
    assert(lastIndex >= this.#next - 1, 'sent backwards', lastIndex, this.#next)
    if (this.#state === 'probe') {
      this.#paused = true
      return
    }
    this.#next = (lastIndex + 1) as LogIndex
    this.#inFlight.push({ lastIndex, bytes })
    this.#bytesInFlight += bytes
  }

  /** Returns whether something new is known to be on its disk. */
  maybeAccept(matchIndex: LogIndex): boolean {
    if (this.#forgotten) return false
    this.#quietIntervals = 0
    const isNew = matchIndex > this.#match
    if (isNew) this.#match = matchIndex
    if (this.#state === 'snapshot') {
      if (isNew) this.#becomeReplicate()
      return isNew
    }
    if (this.#state === 'probe') {
      // An older acknowledgement than the one waited for moves nothing: `next` never falls but by a refusal.
      if (this.#match >= this.#next - 1) this.#becomeReplicate()
      return isNew
    }
    if (this.#next <= this.#match) this.#next = (this.#match + 1) as LogIndex
    while (this.#inFlight.length > 0 && this.#inFlight[0]!.lastIndex <= this.#match) {
      this.#bytesInFlight -= this.#inFlight.shift()!.bytes
    }
    assert(this.#bytesInFlight >= 0 && this.#match < this.#next, 'progress contradicts itself', this.#match, this.#next)
    return isNew
  }

  /** Above `match`: is this refusal about the append that this leader is waiting for, and not an old or overtaken one? */
  isRejection(rejectedIndex: LogIndex): boolean {
    return this.#state === 'replicate' ? rejectedIndex < this.#next : rejectedIndex === this.#next - 1
  }

  /** Goes on probing behind `matchGuess`, at or above what is known to match. */
  rejected(matchGuess: LogIndex): void {
    assert(matchGuess >= this.#match && matchGuess + 1 <= this.#next, 'a guess out of bounds', matchGuess, this.#next)
    this.becomeProbe()
    this.#next = (matchGuess + 1) as LogIndex
    this.#quietIntervals = 0
  }

  /** One heartbeat interval has passed. */
  interval(): void {
    if (this.#state === 'snapshot') return
    if (this.#paused || this.#inFlight.length > 0) this.#quietIntervals += 1
  }

  /** The heartbeats of `round` leave: from a later answer on, its log must reach what it has acknowledged by now. */
  heartbeatLeaves(round: number): void {
    if (this.#markRound > 0) return
    this.#markRound = round
    this.#markMatch = this.#match
  }

  /** It answered heartbeats of `round`, with a log that ends at `lastIndex`. */
  heartbeatAnswered({ round, lastIndex }: { round: number; lastIndex: LogIndex }): void {
    if (round > this.confirmedRound) this.confirmedRound = round
    if (this.#markRound === 0 || round < this.#markRound) return
    this.#markRound = 0
    if (lastIndex < this.#markMatch) this.#becomeForgotten()
  }

  /**
   * It answers heartbeats, but no answer to appends came for so long that one got lost. Says what to do: 'probe' again
   * (done here), or 'ask' with an empty append behind everything sent.
   */
  maybeRetry(tick: number): 'probe' | 'ask' | null {
    if (this.#state === 'snapshot' && this.#stream === 'none' && tick >= this.#streamFromTick) {
      this.becomeProbe()
      return 'probe'
    }
    if (this.#forgotten || this.#quietIntervals < QUIET_INTERVALS) return null
    this.#quietIntervals = 0
    if (this.#state === 'replicate') return 'ask'
    this.#paused = false
    return 'probe'
  }

  #becomeForgotten(): void {
    this.becomeProbe()
    this.#match = NO_INDEX
    this.#forgotten = true
  }

  #becomeReplicate(): void {
    this.#state = 'replicate'
    this.#next = (this.#match + 1) as LogIndex
    this.#paused = false
    this.#clearWindow()
  }

  #clearWindow(): void {
    this.#inFlight.length = 0
    this.#bytesInFlight = 0
  }
}
