import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { Entry, HardState } from '../../src/raft/types.js'
import type { LogItem, NodeLog } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'
import { PROPERTY_MS_MAX, times } from '../property.js'
import {
  append,
  checkpointItem,
  contentsOf,
  entriesItem,
  entry,
  hardState,
  hardStateItem,
  memoryFiles,
  openLog,
  rangeId,
  readAll,
  text,
  tombstoneItem,
} from './log-support.js'

/** The log as a person would write it: per range an array, a hard state and a truncation point. */
interface RangeModel {
  entries: Entry[]
  hardState: HardState | null
  truncated: { index: number; term: number } | null
}
type Model = ReadonlyMap<number, RangeModel>

interface Change {
  readonly range: number
  readonly kind: 'entries' | 'hardState' | 'truncate' | 'install' | 'tombstone'
  readonly back: number
  readonly count: number
  readonly bytes: number
}

type Step =
  | { readonly kind: 'append'; readonly changes: readonly Change[] }
  | { readonly kind: 'restart' | 'powerCut' | 'killInFlight' | 'powerCutInFlight'; readonly changes: readonly Change[] }

const change: fc.Arbitrary<Change> = fc.record({
  range: fc.integer({ min: 1, max: 4 }),
  kind: fc.constantFrom('entries', 'entries', 'entries', 'entries', 'hardState', 'truncate', 'install', 'tombstone'),
  back: fc.nat(3),
  count: fc.integer({ min: 1, max: 4 }),
  bytes: fc.oneof(fc.nat(40), fc.nat(9000)),
})
const changes = fc.array(change, { minLength: 1, maxLength: 4 })
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'append',
    'append',
    'append',
    'append',
    'restart',
    'powerCut',
    'killInFlight',
    'powerCutInFlight',
  ),
  changes,
})

let term = 0

/** Turns a change into an item that is legal now, and applies it to the model. */
function perform(model: Map<number, RangeModel>, { range, kind, back, count, bytes }: Change): LogItem {
  const old = model.get(range) ?? { entries: [], hardState: null, truncated: null }
  const truncated = old.truncated?.index ?? 0
  const last = truncated + old.entries.length
  term += 1
  if (kind === 'hardState') {
    const state = hardState(term, count === 1 ? null : count, last)
    model.set(range, { ...old, hardState: state })
    return hardStateItem(range, state)
  }
  if (kind === 'tombstone') {
    model.delete(range)
    return tombstoneItem(range, 1)
  }
  if (kind === 'install') {
    // A snapshot of another history: nothing of what is held follows it.
    const point = { index: Math.max(truncated, last + 2 - back), term }
    model.set(range, { ...old, entries: [], truncated: point })
    return checkpointItem(range, point)
  }
  if (kind === 'truncate') {
    const index = Math.max(truncated, last - back)
    const point = { index, term: old.entries[index - truncated - 1]?.term ?? old.truncated?.term ?? 0 }
    model.set(range, { ...old, entries: old.entries.slice(index - truncated), truncated: point })
    return checkpointItem(range, point)
  }
  const first = Math.max(truncated, last - back) + 1
  const entries = Array.from({ length: count }, (_, i): Entry => {
    const made = entry(first + i, term, `${term}.${i} `.repeat(1 + bytes / 8))
    return i === back ? { ...made, kind: 'configuration' } : made
  })
  model.set(range, { ...old, entries: [...old.entries.slice(0, first - truncated - 1), ...entries] })
  return entriesItem(range, entries)
}

function expectSame(log: NodeLog, model: Model): void {
  const found = contentsOf(log).ranges.map((range) => ({
    range: range.range,
    hardState: range.hardState,
    truncated: range.checkpoint?.truncated ?? null,
    last: [range.lastIndex, range.lastTerm],
    entries: range.entries,
    configurations: range.configurations,
    lost: [...range.damaged, range.forgot],
  }))
  const expected = [...model]
    .sort(([a], [b]) => a - b)
    .map(([range, { entries, hardState: state, truncated }]) => ({
      range,
      hardState: state ?? hardState(0, null, 0),
      truncated,
      last: [entries.at(-1)?.index ?? truncated?.index ?? 0, entries.at(-1)?.term ?? truncated?.term ?? 0],
      entries: entries.map((one) => ({ ...one, payload: text(one.payload) })),
      configurations: entries.filter((one) => one.kind === 'configuration').map(({ index }) => index),
      lost: [false],
    }))
  expect(found).toEqual(expected)
}

/** Whether the log holds what the model does, told by its recovered state. */
function holds(log: NodeLog, model: Model): boolean {
  try {
    expectSame(log, model)
    return true
  } catch {
    return false
  }
}

const SEGMENT_BYTES = 40 * 1024
// The full volume takes minutes on a busy machine.
vi.setConfig({ testTimeout: 600_000 })

class Run {
  readonly #files: MemoryFiles
  #log: NodeLog
  #model: Model = new Map()

  constructor(files: MemoryFiles, log: NodeLog) {
    this.#files = files
    this.#log = log
  }

  async perform({ kind, changes }: Step): Promise<void> {
    if (kind === 'append') return this.#append(changes)
    if (kind === 'restart') return this.#reopen(() => this.#files.kill())
    if (kind === 'powerCut') return this.#reopen(() => this.#files.crash())
    const next = new Map(this.#model)
    const items = changes.map((one) => perform(next, one))
    this.#log.append(items, () => expect.unreachable('an append was acknowledged after the crash'))
    // The batch may wait for a segment, so that nothing of it was written yet: also a case.
    if (kind === 'killInFlight') this.#files.kill()
    else this.#files.crash()
    this.#log = await openLog(this.#files.mount(), SEGMENT_BYTES)
    if (holds(this.#log, next)) this.#model = next
    else expectSame(this.#log, this.#model)
    // Whatever was found at open was made durable by it: a power cut right after changes nothing.
    await this.#reopen(() => this.#files.crash())
  }

  async #append(changes: readonly Change[]): Promise<void> {
    const next = new Map(this.#model)
    const items = changes.map((one) => perform(next, one))
    await append(this.#log, items)
    this.#model = next
    for (const [range, { entries }] of next) {
      if (entries.length === 0) continue
      expect(readAll(this.#log, range, entries[0]!.index, entries.at(-1)!.index)).toEqual(entries)
      expect(this.#log.reader(rangeId(range)).term(entries.at(-1)!.index)).toBe(entries.at(-1)!.term)
    }
  }

  async #reopen(end: () => void): Promise<void> {
    end()
    this.#log = await openLog(this.#files.mount(), SEGMENT_BYTES)
    expectSame(this.#log, this.#model)
  }
}

describe('the log, compared with a model', () => {
  it(
    'holds what was acknowledged after restarts, kills and power cuts, and all or nothing of what was not',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.integer(), async (steps, seed) => {
          term = 0
          const files = memoryFiles(seed)
          const run = new Run(files, await openLog(files.mount(), SEGMENT_BYTES))
          for (const one of steps) await run.perform(one)
        }),
        times(60, 7),
      )
    },
    PROPERTY_MS_MAX,
  )
})
