import { describe, expect, it } from 'vitest'
import type { Key, Version } from '../../src/base/ids.js'
import type { Row } from '../../src/kv/requests.js'
import type { Stored } from '../../src/kv/types.js'
import type { Lookup, PreparedFetch, StateStore } from '../../src/storage/types.js'
import { COLD_READS_KEY_BYTES_MAX, COLD_READS_OPEN_MAX, ColdReads } from '../../src/store/cold-reads.js'

type Page = Parameters<StateStore['scan']>[0]

const PAGE = { span: { start: 'a' as Key, end: null } } as Page

/** A disk that answers when told to. */
class Disk {
  open = 0
  most = 0
  /** Neither started nor dropped. */
  prepared = 0
  readonly #due: (() => void)[] = []
  readonly #valueBytes: number

  constructor(valueBytes = 1) {
    this.#valueBytes = valueBytes
  }

  prepareFetch(lookups: readonly Lookup[]): PreparedFetch {
    const value = new Uint8Array(this.#valueBytes)
    const found = lookups.map(({ upTo }): Stored => ({ version: upTo, codec: 'bytes', value }))
    this.prepared++
    return {
      start: (done) => {
        this.prepared--
        this.#begin(lookups.length, () => done(found))
      },
      drop: () => {
        this.prepared--
      },
    }
  }

  scan(_: Page, done: (rows: readonly Row[], more: boolean) => void): void {
    this.#begin(1, () => done([], false))
  }

  #begin(weight: number, answer: () => void): void {
    this.open += weight
    this.most = Math.max(this.most, this.open)
    this.#due.push(() => {
      this.open -= weight
      answer()
    })
  }

  /** Answers everything, also what is asked meanwhile. */
  run(): void {
    for (let due = this.#due.shift(); due !== undefined; due = this.#due.shift()) due()
  }
}

function lookups(count: number, first = 1): Lookup[] {
  return Array.from({ length: count }, (_, i) => ({ storage: 1, key: 'k', upTo: (first + i) as Version }) as Lookup)
}

describe('reads that memory cannot answer', () => {
  it('are under way only so many at once, and all are answered, in the order asked', () => {
    const disk = new Disk()
    const cold = new ColdReads(disk, 1_000_000)
    const answered: number[] = []
    for (let i = 0; i < 500; i++) {
      if (i % 3 === 0) cold.scan(PAGE, () => answered.push(i))
      else cold.fetch(lookups(1), () => answered.push(i))
    }
    expect(disk.open).toBe(COLD_READS_OPEN_MAX)
    disk.run()
    expect(disk.most).toBe(COLD_READS_OPEN_MAX)
    expect(answered).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(disk.open).toBe(0)
  })

  it('of many keys come in pieces, whole and in order, and let others through between them', () => {
    const disk = new Disk()
    const cold = new ColdReads(disk, 1_000_000)
    const ended: string[] = []
    let found: readonly (Stored | null)[] = []
    cold.fetch(lookups(1_000), (all) => {
      if (typeof all !== 'string') found = all
      ended.push('many')
    })
    cold.fetch(lookups(1), () => ended.push('one'))
    disk.run()
    expect(ended).toEqual(['one', 'many'])
    expect(found.map((each) => each?.version)).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1))
    expect(disk.most).toBeLessThanOrEqual(COLD_READS_OPEN_MAX)
  })

  it('are given up when their values are larger than a message, without reading the rest', () => {
    const disk = new Disk(1_000)
    const cold = new ColdReads(disk, 40_000)
    const answers: unknown[] = []
    cold.fetch(lookups(40), (found) => answers.push(found.length))
    cold.fetch(lookups(1_000), (found) => answers.push(found))
    cold.fetch(lookups(1), (found) => answers.push(found.length))
    disk.run()
    expect(answers).toEqual([1, 40, 'too large'])
    expect([disk.open, disk.prepared]).toEqual([0, 0])
  })

  it('wait only up to a bound in bytes, and there is room again once they are answered', () => {
    const disk = new Disk()
    const cold = new ColdReads(disk, 1_000_000)
    const long = [{ storage: 1, key: 'k'.repeat(1024 * 1024), upTo: 1 as Version }] as unknown as Lookup[]
    let taken = 0
    let answered = 0
    while (cold.fetch(long, () => answered++)) taken++
    expect(taken).toBe(Math.floor(COLD_READS_KEY_BYTES_MAX / (1024 * 1024 + 256)))
    let pages = 0
    while (cold.scan(PAGE, () => pages++)) expect(pages).toBe(0)
    expect(disk.prepared).toBeLessThanOrEqual(taken)
    disk.run()
    expect(answered).toBe(taken)
    expect(disk.prepared).toBe(0)
    expect(cold.fetch(long, () => {})).toBe(true)
    expect(cold.scan(PAGE, () => {})).toBe(true)
  })
})
