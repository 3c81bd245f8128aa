import { assert } from '../../src/base/assert.js'
import type { LogIndex, Term, Version } from '../../src/base/ids.js'
import type { Configuration, Entry, HardState, InitialState, LogReader, Ready } from '../../src/raft/types.js'
import { decodeConfiguration, nobody } from './configuration.js'

const START = { index: 0 as LogIndex, term: 0 as Term }

/** The state of a range, as simple as can be: all that was applied, and who was there at its birth. */
export interface State {
  readonly birth: Configuration
  readonly applied: readonly Entry[]
}

export function configurationOf({ birth, applied }: State): Configuration {
  const last = applied.findLast(({ kind }) => kind === 'configuration')
  return last === undefined ? birth : decodeConfiguration(last.payload)
}

/** What one replica has synced. Survives crashes of its node; nothing else does. */
export class Disk implements LogReader {
  hardState: HardState = { term: 0 as Term, vote: null, commit: 0 as LogIndex }
  truncated: { readonly index: LogIndex; readonly term: Term } = START
  /** As of the checkpoint: replay starts behind it. null: it waits for a snapshot. */
  state: State | null
  #entries: Entry[] = []

  constructor(birth: Configuration | null) {
    this.state = birth === null ? null : { birth, applied: [] }
  }

  get checkpoint(): LogIndex {
    return (this.state?.applied.length ?? 0) as LogIndex
  }

  /** From index 1 on: what is truncated is in the state. */
  get log(): readonly Entry[] {
    return [...(this.state?.applied.slice(0, this.truncated.index) ?? []), ...this.#entries]
  }

  get lastIndex(): LogIndex {
    return (this.truncated.index + this.#entries.length) as LogIndex
  }

  /** `state` is what was staged for a Ready that says `restored`. A replica without a state keeps nothing. */
  write({ hardState, restored, entries }: Pick<Ready, 'hardState' | 'restored' | 'entries'>, state?: State): void {
    if (restored !== null) {
      assert(hardState !== null && state?.applied.length === restored.index, 'a switch to nothing', restored)
      this.#switch(restored, state)
    }
    if (this.state === null) return
    if (hardState !== null) this.hardState = hardState
    if (entries.length === 0) return
    const first = entries[0]!.index
    assert(first > this.truncated.index && first <= this.lastIndex + 1, 'a gap on disk', first, this.lastIndex)
    this.#entries.length = first - 1 - this.truncated.index
    this.#entries.push(...entries)
  }

  #switch(at: { index: LogIndex; term: Term }, state: State): void {
    const isWithin = this.has(at)
    this.#entries = isWithin ? this.#entries.slice(at.index - this.truncated.index) : []
    this.truncated = at
    this.state = state
  }

  checkpointTo(applied: readonly Entry[]): void {
    assert(this.state !== null && applied.length >= this.checkpoint, 'the checkpoint goes back', applied.length)
    this.state = { ...this.state, applied: [...applied] }
  }

  truncateTo(index: LogIndex): void {
    if (index <= this.truncated.index) return
    assert(index <= this.checkpoint, 'truncated behind the checkpoint', index, this.checkpoint)
    const { term } = this.#at(index)
    this.#entries = this.#entries.slice(index - this.truncated.index)
    this.truncated = { index, term }
  }

  has({ index, term }: { index: number; term: number }): boolean {
    if (index <= this.truncated.index) return this.state?.applied[index - 1]?.term === term
    return this.#entries[index - 1 - this.truncated.index]?.term === term
  }

  entries({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[] {
    assert(from > this.truncated.index, 'reads what was truncated', from, this.truncated.index)
    const found: Entry[] = []
    let bytes = 0
    for (const entry of this.#entries.slice(from - 1 - this.truncated.index, to - this.truncated.index)) {
      bytes += entry.payload.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    return found
  }

  term(index: LogIndex): Term {
    if (index === this.truncated.index) return this.truncated.term
    return this.#at(index).term
  }

  /** The last one in its log. */
  get configuration(): Configuration {
    const last = this.#entries.findLast(({ kind }) => kind === 'configuration')
    if (last !== undefined) return decodeConfiguration(last.payload)
    return this.state === null ? nobody : configurationOf(this.state)
  }

  initial(): InitialState {
    const last = this.#entries.at(-1) ?? this.state?.applied.at(-1)
    const configurations = this.#entries.filter(({ kind }) => kind === 'configuration').map(({ index }) => index)
    return {
      hardState: this.hardState,
      configuration: this.state === null ? nobody : configurationOf(this.state),
      configurationEntries: configurations.filter((index) => index > this.checkpoint),
      truncated: this.truncated,
      lastIndex: this.lastIndex,
      lastTerm: last?.term ?? (0 as Term),
      lastTimestamp: last?.timestamp ?? (0 as Version),
      applied: this.checkpoint,
      start: { kind: 'follow' },
    }
  }

  #at(index: LogIndex): Entry {
    const entry = this.#entries[index - 1 - this.truncated.index]
    assert(index > this.truncated.index && entry?.index === index, 'reads what is not there', index)
    return entry
  }
}
