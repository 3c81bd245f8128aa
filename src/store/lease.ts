import type { Term } from '../base/ids.js'
import { limits } from '../base/limits.js'

/**
 * How long a leader may take its lead for granted after a round of heartbeats left that a majority answered: four fifths of the
 * shortest election timeout, so that clocks may run a fifth apart.
 */
export const LEASE_MS = limits.electionTicksMin * limits.tickMs * 0.8

interface Round {
  readonly round: number
  readonly monotonicMs: number
  readonly wallMs: number
}

export interface BothClocks {
  monotonicMs(): number
  wallMs(): number
}

/**
 * A leader's lease (thesis 6.4.1), for reads that ask for it by name. Whoever answered a round of heartbeats votes for nobody for an
 * election timeout after the answer, and a voter that restarted waits that long before its first vote; so until a little less
 * than an election timeout after the round *left*, no other leader was elected, and nobody else acknowledged a write.
 *
 * Both clocks must say so: a suspended machine's monotonic clock stands still, and the wall clock may jump. Who hands the lead
 * over gives its lease up for the rest of its term: the successor does not wait for anybody's timeout.
 */
export class Lease {
  readonly #clocks: BothClocks
  #term: Term | null = null
  #isGivenUp = false
  /** Rounds that left and may still be confirmed, oldest first. */
  #open: Round[] = []
  #held: Round | null = null

  constructor(clocks: BothClocks) {
    this.#clocks = clocks
  }

  /** A round is about to leave, or was confirmed. Rounds are numbered per term; `null`: this replica does not lead. */
  observe(leading: { term: Term; lastRound: number; confirmedRound: number; mayLease: boolean } | null): void {
    if (leading === null || leading.term !== this.#term) this.#reset(leading?.term ?? null)
    if (leading === null) return
    if (!leading.mayLease) this.#isGivenUp = true
    if (leading.lastRound > (this.#open.at(-1)?.round ?? this.#held?.round ?? 0)) {
      const { lastRound: round } = leading
      this.#open.push({ round, monotonicMs: this.#clocks.monotonicMs(), wallMs: this.#clocks.wallMs() })
    }
    while (this.#open.length > 0 && this.#open[0]!.round <= leading.confirmedRound) this.#held = this.#open.shift()!
  }

  /** Reads both clocks now: ask after the frame with the read was taken in, never keep the answer. */
  isHeld(): boolean {
    if (this.#held === null || this.#isGivenUp) return false
    return (
      isWithin(this.#clocks.monotonicMs() - this.#held.monotonicMs) &&
      isWithin(this.#clocks.wallMs() - this.#held.wallMs)
    )
  }

  #reset(term: Term | null): void {
    this.#term = term
    this.#isGivenUp = false
    this.#open = []
    this.#held = null
  }
}

function isWithin(elapsedMs: number): boolean {
  return elapsedMs >= 0 && elapsedMs < LEASE_MS
}
