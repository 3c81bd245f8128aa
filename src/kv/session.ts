import { assert } from '../base/assert.js'
import type { Version } from '../base/ids.js'
import type { Remembered } from './outcomes.js'
import type { Origin, Outcome } from './types.js'

/** The commonest outcome, a write without deletes, is held as its version alone: there may be hundreds of thousands. */
type Held = Version | Remembered

interface Named {
  readonly lowest: number
  readonly version: Version
}

const NONE_DELETED: readonly boolean[] = []

/** One session in a table. Versions of what it remembers ascend, so both collections stay in the order of their age. */
export class Session {
  readonly owner: object
  readonly #outcomes: Map<number, Held>
  /**
   * What requests named as their lowest, as far as it may still count: each is greater than all named after it, so the
   * first is the session's lowest and the next takes over when the floor has passed the first. Almost always one.
   * Never more than outcomes: while a greater one counts, the request that named this one is remembered.
   */
  readonly #named: Named[]

  constructor(owner: object, outcomes = new Map<number, Held>(), named: Named[] = []) {
    this.owner = owner
    this.#outcomes = outcomes
    this.#named = named
  }

  get size(): number {
    return this.#outcomes.size
  }

  get lowest(): number {
    return this.#named[0]!.lowest
  }

  /** Version of the oldest thing held. A session holds something, or it is no longer in its table. */
  get oldest(): Version {
    const named = this.#named[0]!.version
    for (const held of this.#outcomes.values()) return versionOf(held) < named ? versionOf(held) : named
    return named
  }

  /** Of every outcome held. */
  *versions(): Generator<Version> {
    for (const held of this.#outcomes.values()) yield versionOf(held)
  }

  outcome(sequence: number): Remembered | null {
    const held = this.#outcomes.get(sequence)
    if (held === undefined) return null
    return typeof held === 'number' ? { kind: 'written', version: held, deleted: NONE_DELETED } : held
  }

  remember(origin: Origin, outcome: Remembered): void {
    const { sequence, lowest } = origin
    const { version } = outcome
    assert(!this.#outcomes.has(sequence), 'an outcome is remembered once', sequence)
    const before = this.#named[0]?.lowest ?? 0
    while (this.#named.length > 0 && this.#named.at(-1)!.lowest <= lowest) this.#named.pop()
    this.#named.push({ lowest, version })
    this.#outcomes.set(sequence, isPlain(outcome) ? version : outcome)
    if (lowest > before) this.#letGo({ from: before, below: lowest })
  }

  /** Returns whether anything is left. */
  raiseFloor(floor: Version): boolean {
    while (this.#named.length > 0 && this.#named[0]!.version < floor) this.#named.shift()
    for (const [sequence, held] of this.#outcomes) {
      if (versionOf(held) >= floor) break
      this.#outcomes.delete(sequence)
    }
    return this.#named.length > 0
  }

  copy(owner: object): Session {
    return new Session(owner, new Map(this.#outcomes), [...this.#named])
  }

  image(): { lowest: number; outcomes: { sequence: number; outcome: Outcome }[] } {
    const sequences = [...this.#outcomes.keys()].sort((a, b) => a - b)
    return {
      lowest: this.lowest,
      outcomes: sequences.map((sequence) => ({ sequence, outcome: this.outcome(sequence)! })),
    }
  }

  #letGo({ from, below }: { from: number; below: number }): void {
    if (below - from <= this.#outcomes.size) {
      for (let sequence = from; sequence < below; sequence += 1) this.#outcomes.delete(sequence)
      return
    }
    for (const sequence of this.#outcomes.keys()) if (sequence < below) this.#outcomes.delete(sequence)
  }
}

function versionOf(held: Held): Version {
  return typeof held === 'number' ? held : held.version
}

function isPlain(outcome: Remembered): boolean {
  return outcome.kind === 'written' && outcome.deleted.length === 0
}
