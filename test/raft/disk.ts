import { assert } from '../../src/base/assert.js'
import type { LogIndex, Term, Version } from '../../src/base/ids.js'
import type { Entry, HardState, InitialState, LogReader, Ready } from '../../src/raft/types.js'

/** What one replica has synced. Survives crashes of its node; nothing else does. */
export class Disk implements LogReader {
  hardState: HardState = { term: 0 as Term, vote: null, commit: 0 as LogIndex }
  truncated = { index: 0 as LogIndex, term: 0 as Term }
  /** State is durable up to here: replay starts behind it. */
  checkpoint = 0 as LogIndex
  readonly #log: Entry[] = []

  /** From index 1 on, also what is truncated for the reader: checkers want to see it. */
  get log(): readonly Entry[] {
    return this.#log
  }

  write({ hardState, entries }: Pick<Ready, 'hardState' | 'entries'>): void {
    if (hardState !== null) this.hardState = hardState
    if (entries.length === 0) return
    const first = entries[0]!.index
    assert(first <= this.#log.length + 1, 'a gap on disk', first, this.#log.length)
    this.#log.length = first - 1
    this.#log.push(...entries)
  }

  truncateTo(index: LogIndex): void {
    if (index > this.truncated.index) this.truncated = { index, term: this.#log[index - 1]!.term }
  }

  has({ index, term }: { index: number; term: number }): boolean {
    return this.#log[index - 1]?.term === term
  }

  entries({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }): readonly Entry[] {
    assert(from > this.truncated.index, 'reads what was truncated', from, this.truncated.index)
    const found: Entry[] = []
    let bytes = 0
    for (const entry of this.#log.slice(from - 1, to)) {
      bytes += entry.payload.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    return found
  }

  term(index: LogIndex): Term {
    assert(index >= this.truncated.index, 'reads what was truncated', index, this.truncated.index)
    return index === 0 ? (0 as Term) : this.#log[index - 1]!.term
  }

  initial(configuration: InitialState['configuration']): InitialState {
    const last = this.#log.at(-1)
    return {
      hardState: this.hardState,
      configuration,
      configurationEntries: [],
      truncated: this.truncated,
      lastIndex: (last?.index ?? 0) as LogIndex,
      lastTerm: (last?.term ?? 0) as Term,
      lastTimestamp: (last?.timestamp ?? 0) as Version,
      applied: this.checkpoint,
      start: { kind: 'follow' },
    }
  }
}
