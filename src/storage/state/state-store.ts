import type { Span } from '../../base/descriptor.js'
import type { Key, RangeId, StorageId, Version } from '../../base/ids.js'
import type { Clock, Fatal, Logger } from '../../base/ports.js'
import type { Row } from '../../kv/requests.js'
import type { JournalRecord, StateRecord, Stored } from '../../kv/types.js'
import { recordDigest } from '../codec/digest.js'
import { DamagedError } from '../codec/errors.js'
import type {
  DbPut,
  Lookup,
  PreparedFetch,
  ScrubStatus,
  StateBatch,
  StateChunk,
  StateDamage,
  StateDb,
  StateStore,
} from '../types.js'
import type { CollectWork } from './collect-pass.js'
import { Collector } from './collector.js'
import { DamageReports } from './damage-reports.js'
import { DbWriter } from './db-writer.js'
import { Deletions } from './deletions.js'
import { encodeBatch } from './encode-batch.js'
import { Ingest } from './ingest.js'
import { endOfKey, recordKey } from './keys.js'
import { LatestCache } from './latest-cache.js'
import { type OpenFetch, OpenFetches } from './open-fetches.js'
import { Overlay } from './overlay.js'
import { type Page, PageScan } from './page-scan.js'
import { ReadBarrier } from './read-barrier.js'
import { readRecord } from './read-record.js'
import { readJournals, readRecords, type SnapshotPage } from './snapshot-read.js'
import { WriteQueue } from './write-queue.js'

const JOURNAL_PAGE_BYTES = 1024 * 1024
const DIGEST_ROWS = 1_000
const DIGEST_BYTES = 1024 * 1024

export interface StateStoreOptions {
  readonly db: StateDb
  /** For the newest records of keys used lately, index included. Allocated at once. */
  readonly cacheBytes: number
  /** Larger values are read from the database each time. */
  readonly cacheValueBytesMax: number
  /** For what is done in the background. */
  readonly clock: Pick<Clock, 'setTimer'>
  /** Called once for each storage id and journal that holds, or may hold, something damaged. It is never served. */
  readonly onDamage: (damage: StateDamage) => void
  /** Called where the database fails or holds something unknown. */
  readonly fatal: Fatal
  readonly logger: Logger
}

export function openStateStore(options: StateStoreOptions): StateStore {
  return new LevelStateStore(options)
}

type Where = { readonly storage: StorageId } | { readonly journal: RangeId }

class LevelStateStore implements StateStore {
  readonly #db: StateDb
  readonly #fatal: Fatal
  readonly #logger: Logger
  readonly #cache: LatestCache
  readonly #overlay = new Overlay()
  readonly #fetches = new OpenFetches()
  readonly #barrier = new ReadBarrier()
  readonly #writer: DbWriter
  readonly #queue: WriteQueue
  readonly #ingest: Ingest
  readonly #deletions: Deletions
  readonly #collector: Collector
  readonly #damage: DamageReports
  #marker: number
  #closed = false

  constructor({ db, cacheBytes, cacheValueBytesMax, clock, onDamage, fatal, logger }: StateStoreOptions) {
    this.#db = db
    this.#fatal = fatal
    this.#logger = logger
    this.#marker = db.marker
    this.#cache = new LatestCache({ bytes: cacheBytes, valueBytesMax: cacheValueBytesMax })
    this.#damage = new DamageReports({ db, onDamage, logger })
    db.onDamage = (damage) => {
      if (!this.#closed) this.#damage.report(damage)
    }
    this.#writer = new DbWriter({ db, barrier: this.#barrier, clock, fatal, logger })
    this.#queue = new WriteQueue({ db, writer: this.#writer, flushed: (record) => this.#overlay.remove(record) })
    this.#ingest = new Ingest({ db, queue: this.#queue, writer: this.#writer })
    this.#deletions = new Deletions({ db, queue: this.#queue, writer: this.#writer, clock })
    this.#collector = new Collector({
      db,
      barrier: this.#barrier,
      deletions: this.#deletions,
      afterWritten: (passed) => this.#queue.afterWritten(passed),
      onError: (error, where) => this.#refused('collecting what is old', error, where),
    })
  }

  get overlayBytes(): number {
    return this.#queue.bytes
  }

  get marker(): number {
    return this.#marker
  }

  get isFull(): boolean {
    return this.#writer.isFull
  }

  get scrub(): ScrubStatus {
    return this.#db.scrub
  }

  whenSpace(action: () => void): void {
    this.#writer.whenSpace(action)
  }

  peek(lookup: { storage: StorageId; key: string }): Stored | null | undefined {
    const cached = this.#cache.get(lookup.storage, lookup.key)
    return cached !== undefined ? cached : this.#overlay.latest(lookup)
  }

  fetch(lookups: readonly Lookup[], done: (found: readonly (Stored | null)[] | null) => void): void {
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
    const drop = (): void => {
      for (const { open } of missing) this.#fetches.end(open)
    }
    const start = (done: (found: readonly (Stored | null)[] | null) => void): void =>
      this.#seek(seeks, (error, found) => {
        let whole = true
        for (const [i, { place, open }] of missing.entries()) {
          const verified = this.#verified(error, found[i] ?? null, open.storage)
          if (verified === undefined) whole = false
          else {
            results[place] = verified
            if (!open.overtaken) this.#cache.set(open.storage, open.key, verified)
          }
        }
        drop()
        done(whole ? results : null)
      })
    return { start, drop }
  }

  write(batch: StateBatch, needsLogBatch: number): void {
    const encoded = encodeBatch(batch, this.#overlay)
    for (const { range } of batch.journals) this.#damage.usesJournal(range)
    for (const { storage, record } of batch.records) {
      this.#fetches.overtake(storage, record.key)
      this.#cache.set(storage, record.key, record)
    }
    this.#queue.push(encoded, needsLogBatch)
  }

  logDurable(logBatch: number): void {
    this.#queue.logDurable(logBatch)
  }

  scan(page: Page, done: (rows: readonly Row[] | null, more: boolean) => void): void {
    this.#read<Row>(
      `a scan of storage id ${page.storage}`,
      page,
      (answer) => new PageScan(this.#db, page, answer).start(),
      done,
    )
  }

  journal(
    { range, from, to }: { range: RangeId; from: Version; to: Version },
    each: (record: JournalRecord) => void,
    done: (whole: boolean) => void,
  ): void {
    const next = (behind: Version): void =>
      this.readJournal({ range, from: behind, to, bytesMax: JOURNAL_PAGE_BYTES }, (records, more) => {
        for (const record of records ?? []) each(record)
        const last = records?.at(-1)
        if (more && last !== undefined) next(last.timestamp)
        else done(records !== null)
      })
    next(from)
  }

  readSnapshot(page: SnapshotPage, done: (records: readonly StateRecord[] | null, more: boolean) => void): void {
    this.#read<StateRecord>(
      `a snapshot of storage id ${page.storage}`,
      page,
      (answer) => readRecords(this.#db, page, answer),
      done,
    )
  }

  readJournal(
    page: { range: RangeId; from: Version; to: Version; bytesMax: number },
    done: (records: readonly JournalRecord[] | null, more: boolean) => void,
  ): void {
    this.#damage.usesJournal(page.range)
    this.#read<JournalRecord>(
      `the journal of range ${page.range}`,
      { journal: page.range },
      (answer) => readJournals(this.#db, page, answer),
      done,
    )
  }

  ingest(chunk: StateChunk & { readonly storage: StorageId }, done: () => void): void {
    for (const { range } of chunk.journals) this.#damage.usesJournal(range)
    this.#ingest.write(chunk, done)
  }

  dropStorage(storage: StorageId): void {
    this.#damage.forget({ storage })
    this.#collector.drop(storage)
  }

  collect(work: CollectWork, done: (deleted: number, next: Key | null) => void): void {
    this.#collector.collect(work, done)
  }

  collectJournal(work: { range: RangeId; upTo: Version }, done: (deleted: number, more: boolean) => void): void {
    this.#collector.collectJournal(work, done)
  }

  hold(storage: StorageId): () => void {
    return this.#collector.hold(storage)
  }

  healedJournal(range: RangeId): void {
    this.#damage.forget({ journal: range })
    this.#db.healed({ journal: range })
  }

  digest(slice: { storage: StorageId; span: Span; at: Version }, done: (digest: number | null) => void): void {
    let sum = 0
    const next = (start: Key): void => {
      const span = { start, end: slice.span.end }
      const page = { ...slice, span, reverse: false, limit: DIGEST_ROWS, bytesMax: DIGEST_BYTES, keysOnly: false }
      this.scan(page, (rows, more) => {
        if (rows === null) return done(null)
        for (const row of rows) sum = (sum + recordDigest(row)) >>> 0
        const last = rows.at(-1)
        if (more && last !== undefined) next(`${last.key}\0` as Key)
        else done(sum)
      })
    }
    next(slice.span.start)
  }

  sync(done: () => void): void {
    this.#queue.afterWritten(() => {
      const deletesDone = this.#collector.syncBegins()
      let marker = 0
      this.#writer.attempt({
        alone: false,
        write: (written) =>
          this.#db.sync((error, found) => {
            marker = found
            written(error)
          }),
        done: () => {
          deletesDone()
          this.#marker = marker
          done()
        },
      })
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#queue.close()
    this.#deletions.close()
    this.#collector.close()
    await this.#writer.close()
    await this.#db.close()
  }

  #seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    this.#barrier.read((end) =>
      this.#db.seek(seeks, (error, found) => {
        end()
        if (!this.#closed) done(error, found)
      }),
    )
  }

  /** A page of whatever `start` reads, behind what was written before, as one open read. Null: it is damaged. */
  #read<T>(
    what: string,
    where: Where,
    start: (answer: (error: Error | null, found: readonly T[], more: boolean) => void) => void,
    done: (found: readonly T[] | null, more: boolean) => void,
  ): void {
    this.#queue.afterWritten(() =>
      this.#barrier.read((end) =>
        start((error, found, more) => {
          end()
          if (this.#closed) return
          if (error !== null) this.#refused(what, error, where)
          done(error === null ? found : null, more)
        }),
      ),
    )
  }

  /** undefined: it cannot be served. */
  #verified(error: Error | null, found: DbPut | null, storage: StorageId): Stored | null | undefined {
    if (error !== null) return this.#refused('a read of the state database', error, { storage })
    if (found === null) return null
    try {
      const { version, codec, value } = readRecord(found)
      return { version, value, codec }
    } catch (refused) {
      return this.#refused(`the record under ${hex(found.key)}`, refused as Error, { storage })
    }
  }

  /** Damage is for the peers to repair; what this program cannot read, and a database that does not work, end the process. */
  #refused(what: string, error: Error, where: Where): undefined {
    if (!(error instanceof DamagedError)) return this.#fail(`${what} failed`, error)
    const storages = 'storage' in where ? [where.storage] : []
    const journals = 'journal' in where ? [where.journal] : []
    this.#damage.report({ what: `${what}: ${error.message}`, storages, journals })
    return undefined
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
