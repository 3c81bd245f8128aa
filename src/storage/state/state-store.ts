import type { RangeId, StorageId, Version } from '../../base/ids.js'
import type { Fatal, Logger } from '../../base/ports.js'
import type { Row } from '../../kv/requests.js'
import type { JournalRecord, Stored } from '../../kv/types.js'
import { decodeJournal } from '../codec/journal.js'
import type { DbPut, Lookup, PreparedFetch, StateBatch, StateDb, StateStore } from '../types.js'
import { encodeBatch } from './encode-batch.js'
import { endOfKey, journalKey, recordKey } from './keys.js'
import { LatestCache } from './latest-cache.js'
import { type OpenFetch, OpenFetches } from './open-fetches.js'
import { Overlay } from './overlay.js'
import { type Page, PageScan } from './page-scan.js'
import { readRecord } from './read-record.js'
import { WriteQueue } from './write-queue.js'

const JOURNAL_CHUNK_ROWS = 256
const JOURNAL_CHUNK_BYTES = 1024 * 1024

export interface StateStoreOptions {
  readonly db: StateDb
  /** For the newest records of keys used lately, index included. Allocated at once. */
  readonly cacheBytes: number
  /** Larger values are read from the database each time. */
  readonly cacheValueBytesMax: number
  /** Called where the database fails or holds something damaged or unknown. */
  readonly fatal: Fatal
  readonly logger: Logger
}

export function openStateStore(options: StateStoreOptions): StateStore {
  return new LevelStateStore(options)
}

class LevelStateStore implements StateStore {
  readonly #db: StateDb
  readonly #fatal: Fatal
  readonly #logger: Logger
  readonly #cache: LatestCache
  readonly #overlay = new Overlay()
  readonly #fetches = new OpenFetches()
  readonly #queue: WriteQueue
  #closed = false

  constructor({ db, cacheBytes, cacheValueBytesMax, fatal, logger }: StateStoreOptions) {
    this.#db = db
    this.#fatal = fatal
    this.#logger = logger
    this.#cache = new LatestCache({ bytes: cacheBytes, valueBytesMax: cacheValueBytesMax })
    this.#queue = new WriteQueue({ db, fatal, flushed: (record) => this.#overlay.remove(record) })
  }

  get overlayBytes(): number {
    return this.#queue.bytes
  }

  peek(lookup: { storage: StorageId; key: string }): Stored | null | undefined {
    const cached = this.#cache.get(lookup.storage, lookup.key)
    return cached !== undefined ? cached : this.#overlay.latest(lookup)
  }

  fetch(lookups: readonly Lookup[], done: (found: readonly (Stored | null)[]) => void): void {
    this.prepareFetch(lookups).start(done)
  }

  /**
   * What the overlay has is newer than anything LevelDB may show at or below `upTo`: batches go down in the order
   * written, and after a crash a record that LevelDB kept is newer only if replay has not come to it, so above `upTo`.
   * A key counts as being read from here on, not from the start on: a write in between would otherwise be covered up in the
   * cache by what it replaced.
   */
  prepareFetch(lookups: readonly Lookup[]): PreparedFetch {
    const results: (Stored | null)[] = []
    const missing: { readonly place: number; readonly open: OpenFetch }[] = []
    const seeks: { gte: Uint8Array; lt: Uint8Array }[] = []
    for (const [place, lookup] of lookups.entries()) {
      const { storage, key, upTo } = lookup
      const found = this.#overlay.upTo(lookup)
      results.push(found ?? null)
      if (found !== undefined) continue
      missing.push({ place, open: this.#fetches.begin(storage, key) })
      seeks.push({ gte: recordKey(storage, key, upTo), lt: endOfKey(storage, key) })
    }
    const start = (done: (found: readonly (Stored | null)[]) => void): void =>
      this.#db.seek(seeks, (error, found) => {
        if (this.#closed) return
        if (error !== null) this.#fail('reading the state database failed', error)
        for (const [i, { place, open }] of missing.entries()) {
          results[place] = this.#verified(found[i] ?? null)
          if (!open.overtaken) this.#cache.set(open.storage, open.key, results[place])
          this.#fetches.end(open)
        }
        done(results)
      })
    const drop = (): void => {
      for (const { open } of missing) this.#fetches.end(open)
    }
    return { start, drop }
  }

  write(batch: StateBatch, needsLogBatch: number): void {
    const encoded = encodeBatch(batch, this.#overlay)
    for (const { storage, record } of batch.records) {
      this.#fetches.overtake(storage, record.key)
      this.#cache.set(storage, record.key, record)
    }
    this.#queue.push(encoded, needsLogBatch)
  }

  logDurable(logBatch: number): void {
    this.#queue.logDurable(logBatch)
  }

  scan(page: Page, done: (rows: readonly Row[], more: boolean) => void): void {
    this.#queue.afterWritten(() => {
      new PageScan(this.#db, page, (error, rows, more) => {
        if (this.#closed) return
        if (error !== null) this.#fail('a scan of the state database failed', error)
        done(rows, more)
      }).start()
    })
  }

  journal(
    { range, from, to }: { range: RangeId; from: Version; to: Version },
    each: (record: JournalRecord) => void,
    done: () => void,
  ): void {
    const lt = journalKey(range, to + 1)
    const next = (gte: Uint8Array): void => {
      const bounds = { gte, lt, reverse: false, limit: JOURNAL_CHUNK_ROWS, bytesMax: JOURNAL_CHUNK_BYTES }
      this.#db.range(bounds, (error, found) => {
        if (this.#closed) return
        if (error !== null) this.#fail('reading the journal failed', error)
        let last = from
        for (const put of found) {
          const record = this.#verifiedJournal(put)
          last = record.timestamp
          each(record)
        }
        if (found.length === 0) done()
        else next(journalKey(range, last + 1))
      })
    }
    this.#queue.afterWritten(() => next(journalKey(range, from + 1)))
  }

  sync(done: () => void): void {
    this.#queue.afterWritten(() => {
      this.#db.sync((error) => {
        if (this.#closed) return
        if (error !== null) this.#fail('syncing the state database failed', error)
        done()
      })
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#queue.close()
    await this.#db.close()
  }

  #verified(found: DbPut | null): Stored | null {
    if (found === null) return null
    try {
      const { version, codec, value } = readRecord(found)
      return { version, value, codec }
    } catch (error) {
      return this.#fail(`the record under ${hex(found.key)} is refused`, error as Error)
    }
  }

  #verifiedJournal(found: DbPut): JournalRecord {
    try {
      return decodeJournal(found.key, found.value)
    } catch (error) {
      return this.#fail(`the journal record under ${hex(found.key)} is refused`, error as Error)
    }
  }

  #fail(what: string, error: Error): never {
    const reason = `${what}: ${error.name}: ${error.message}`
    this.#logger.log('error', reason)
    return this.#fatal(reason, error)
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}
