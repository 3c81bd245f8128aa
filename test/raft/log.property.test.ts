import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type LogIndex, NO_INDEX, NO_TERM, NO_VERSION, type Term, type Version } from '../../src/base/ids.js'
import { ReplicaLog } from '../../src/raft/log.js'
import type { Entry } from '../../src/raft/types.js'
import { times } from '../property.js'

/** Every entry, in one array: index 1 at place 0. */
interface Model {
  entries: Entry[]
  truncated: number
  settled: number
}

/** What is on disk: all that the log ever had, as the model has it. */
interface Real {
  readonly log: ReplicaLog
  readonly disk: Model
}

type Command = fc.Command<Model, Real>

const at = (index: number): LogIndex => index as LogIndex
const lastOf = ({ entries }: Model) => entries.at(-1)
const termAt = ({ entries }: Model, index: number) => entries[index - 1]?.term ?? 0

function isWhole(model: Model, { log }: Real): void {
  expect(log.lastIndex).toBe(model.entries.length)
  expect(log.lastTerm).toBe(lastOf(model)?.term ?? 0)
  expect(log.truncated.index).toBe(model.truncated)
  const wrong: number[] = []
  for (let index = model.truncated; index <= model.entries.length; index++) {
    const term = termAt(model, index) as Term
    if (log.term(at(index)) !== term || !log.has({ index: at(index), term })) wrong.push(index)
  }
  expect(wrong).toEqual([])
}

class Appends implements Command {
  readonly #termsOn: number
  readonly #bytes: number
  constructor(termsOn: number, bytes: number) {
    this.#termsOn = termsOn
    this.#bytes = bytes
  }
  check = () => true
  run(model: Model, real: Real): void {
    const last = lastOf(model)
    const entry: Entry = {
      index: at(model.entries.length + 1),
      term: ((last?.term ?? 1) + this.#termsOn) as Term,
      timestamp: (((last?.timestamp ?? 0) as number) + 1) as Version,
      kind: 'commands',
      payload: new Uint8Array(this.#bytes),
    }
    model.entries.push(entry)
    real.disk.entries = [...model.entries]
    real.log.append(entry)
    isWhole(model, real)
  }
  toString = () => `append(+${this.#termsOn} terms, ${this.#bytes} bytes)`
}

/** A new leader's entry replaces what is not settled. */
class Replaces implements Command {
  readonly #share: number
  constructor(share: number) {
    this.#share = share
  }
  check = (model: Readonly<Model>) => model.entries.length > model.settled
  run(model: Model, real: Real): void {
    const from = model.settled + 1 + Math.floor(this.#share * (model.entries.length - model.settled - 1))
    const term = (termAt(model, model.entries.length) + 1) as Term
    const timestamp = ((model.entries.at(-1)!.timestamp as number) + 1) as Version
    model.entries.length = from - 1
    real.log.truncateFrom(at(from))
    const entry: Entry = { index: at(from), term, timestamp, kind: 'noop', payload: new Uint8Array(0) }
    model.entries.push(entry)
    real.disk.entries = [...model.entries]
    real.log.append(entry)
    isWhole(model, real)
  }
  toString = () => `replace from ${this.#share}`
}

class Settles implements Command {
  readonly #share: number
  constructor(share: number) {
    this.#share = share
  }
  check = () => true
  run(model: Model, real: Real): void {
    const index = model.settled + Math.floor(this.#share * (model.entries.length - model.settled + 1))
    model.settled = Math.min(index, model.entries.length)
    real.log.settle(at(model.settled))
    isWhole(model, real)
  }
  toString = () => `settle ${this.#share}`
}

class Truncates implements Command {
  readonly #share: number
  constructor(share: number) {
    this.#share = share
  }
  check = (model: Readonly<Model>) => model.settled > model.truncated
  run(model: Model, real: Real): void {
    const index = model.truncated + Math.ceil(this.#share * (model.settled - model.truncated))
    model.truncated = index
    real.log.truncateTo({ index: at(index), term: termAt(model, index) as Term })
    isWhole(model, real)
  }
  toString = () => `truncate ${this.#share}`
}

class Reads implements Command {
  readonly #from: number
  readonly #to: number
  readonly #bytesMax: number
  constructor(from: number, to: number, bytesMax: number) {
    this.#from = from
    this.#to = to
    this.#bytesMax = bytesMax
  }
  check = (model: Readonly<Model>) => model.entries.length > model.truncated
  run(model: Model, { log }: Real): void {
    const count = model.entries.length - model.truncated
    const from = model.truncated + 1 + Math.floor(this.#from * count)
    const to = from + Math.floor(this.#to * (model.entries.length - from + 1))
    const found = log.read({ from: at(from), to: at(to), bytesMax: this.#bytesMax })
    expect(found.length).toBeGreaterThan(0)
    expect(found).toEqual(model.entries.slice(from - 1, from - 1 + found.length))
    expect(found.length).toBeLessThanOrEqual(to - from + 1)
    const bytes = found.slice(1).reduce((sum, { payload }) => sum + payload.length, found[0]!.payload.length)
    expect(found.length === 1 || bytes <= this.#bytesMax).toBe(true)
  }
  toString = () => `read ${this.#from}..${this.#to}, ${this.#bytesMax} bytes`
}

const share = fc.nat(999).map((each) => each / 1_000)
const append = fc.tuple(fc.constantFrom(0, 0, 0, 1, 3), fc.nat(60)).map(([terms, bytes]) => new Appends(terms, bytes))
const read = fc.tuple(share, share, fc.nat(150)).map(([from, to, bytes]) => new Reads(from, to, bytes))
// Often named, often drawn: a log that is cut as often as it grows stays too short to read much of it.
const commands = fc.commands(
  [
    append,
    append,
    append,
    append,
    append,
    read,
    read,
    share.map((each) => new Replaces(each)),
    share.map((each) => new Settles(each)),
    share.map((each) => new Truncates(each)),
  ],
  { maxCommands: 60, size: 'max' },
)

it('a log with a short tail in memory reads as one that keeps everything', () => {
  fc.assert(
    fc.property(commands, fc.constantFrom(0, 50, 1_000), (list, tailBytesMax) => {
      fc.modelRun(() => {
        const disk: Model = { entries: [], truncated: 0, settled: 0 }
        const reader = {
          term: (index: LogIndex) => termAt(disk, index) as Term,
          entries: ({ from, to, bytesMax }: { from: LogIndex; to: LogIndex; bytesMax: number }) => {
            const all = disk.entries.slice(from - 1, to)
            let bytes = 0
            return all.filter(({ payload }, place) => {
              bytes += payload.length
              return place === 0 || bytes <= bytesMax
            })
          },
        }
        const initial = {
          truncated: { index: NO_INDEX, term: NO_TERM },
          applied: NO_INDEX,
          lastIndex: NO_INDEX,
          lastTerm: NO_TERM,
          lastTimestamp: NO_VERSION,
        }
        const log = new ReplicaLog(initial as never, reader as never, tailBytesMax)
        return { model: { entries: [], truncated: 0, settled: 0 }, real: { log, disk } }
      }, list)
    }),
    times(100, 62),
  )
})
