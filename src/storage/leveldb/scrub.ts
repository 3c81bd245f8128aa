import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ScrubStatus, StateDamage } from '../types.js'
import { damageOf } from './damaged-ids.js'
import { type Manifest, readManifest } from './manifest.js'
import { TableFile } from './table-file.js'
import { walkTable } from './table-walk.js'

const TICK_MS = 1_000
const TABLES_PER_TICK = 4
const AGAIN_AFTER_MS = 6 * 60 * 60 * 1_000

/**
 * Walks each table once soon after it appears, and again every six hours: at most four tables (of 2 MiB) a second, on the event loop, in
 * pieces of about two milliseconds. A damaged one is told once: its files never change, and what was fetched anew since is not in it.
 */
export class Scrub {
  readonly #directory: string
  readonly #highest: () => number
  readonly #onDamage: (damage: StateDamage) => void
  /** When each live table was walked last, in ms of the monotonic clock; those that were not come first. */
  readonly #walkedAt = new Map<number, number>()
  #manifest: Manifest | null = null
  readonly #damagedTables = new Set<number>()
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> = Promise.resolve()
  #closed = false

  constructor(parts: {
    directory: string
    walked: readonly number[]
    /** The highest storage id that has been used. */
    highest: () => number
    onDamage: (damage: StateDamage) => void
  }) {
    this.#directory = parts.directory
    this.#highest = parts.highest
    this.#onDamage = parts.onDamage
    for (const number of parts.walked) this.#walkedAt.set(number, performance.now())
  }

  get status(): ScrubStatus {
    const tables = this.#manifest?.tables ?? []
    const unwalked = tables.filter(({ number }) => !this.#walkedAt.has(number)).length
    return { tables: tables.length, unwalked, damagedTables: this.#damagedTables.size }
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.tick().finally(() => {
        if (!this.#closed) this.start()
      })
    }, TICK_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
  }

  /** What cannot be read now is tried again: a MANIFEST is being written, or a new one has taken its place. */
  async tick(): Promise<void> {
    try {
      await this.#look()
      for (const number of this.#due()) await this.#walk(number)
    } catch {
      this.#manifest = null
    }
  }

  /** Reads the list of live tables, if it has changed. */
  async #look(): Promise<void> {
    const known = this.#manifest
    if (known !== null) {
      const { size } = await stat(join(this.#directory, known.name))
      if (size === known.bytes) return
    }
    this.#manifest = await readManifest(this.#directory)
    const live = new Set(this.#manifest?.tables.map(({ number }) => number))
    for (const number of this.#walkedAt.keys()) if (!live.has(number)) this.#walkedAt.delete(number)
  }

  #due(): number[] {
    const again = performance.now() - AGAIN_AFTER_MS
    const due = (this.#manifest?.tables ?? [])
      .map(({ number }) => ({ number, at: this.#walkedAt.get(number) ?? Number.NEGATIVE_INFINITY }))
      .filter(({ number, at }) => at < again && !this.#damagedTables.has(number))
    return due
      .sort((a, b) => a.at - b.at || b.number - a.number)
      .slice(0, TABLES_PER_TICK)
      .map(({ number }) => number)
  }

  async #walk(number: number): Promise<void> {
    const table = this.#manifest?.tables.find((each) => each.number === number)
    if (table === undefined || this.#closed) return
    this.#walkedAt.set(number, performance.now())
    const file = await TableFile.open(this.#directory, table)
    // Gone: compacted since.
    const what = file === null ? null : await walkTable(table, file).finally(() => file.close())
    if (what === null || this.#closed) return
    this.#damagedTables.add(number)
    this.#onDamage(damageOf(table, what, this.#highest()))
  }
}
