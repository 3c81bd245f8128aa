import { assert } from '../base/assert.js'
import type { RangeId, StorageId } from '../base/ids.js'
import type { Random } from '../base/ports.js'
import type { DbPut, ScrubStatus, StateDamage, StateDb, StateVerdict } from '../storage/types.js'
import type { SeededRandom } from './random.js'
import { SortedRecords } from './sorted-records.js'
import { bothDamages, damageAt, isOf, JOURNAL, storageOf } from './state-damage.js'

export type Schedule = (latencyMs: number, action: () => void) => void

/** Damage to it while it is used is found by then, if not before. Milliseconds. */
const SCRUB_MS_MAX = 5_000

/** LevelDB keeps what was written in memory up to this size, and beside its newest log until it has written a table of it. */
const MEMTABLE_BYTES = 8 * 1024
const TABLE_MS = 100
/** Without the read barrier: so much longer LevelDB holds the snapshot of a read than whoever reads believes. */
const READ_LINGERS_MS = 20

/**
 * What stands between LevelDB's habits and the store, and can be taken away to see that it is missed: 'sync of all files' (a sync covers
 * the newest log alone), 'wait for the sync' (what is not on disk counts as synced), 'read barrier' (deletes beside open reads), 'walk
 * over the files' (what a damaged index hides is simply absent).
 */
export type StateGuard = 'sync of all files' | 'wait for the sync' | 'read barrier' | 'walk over the files'

export interface MemoryStateDbOptions {
  readonly schedule: Schedule
  readonly random: Random
  /** How long a write or read takes. Default 1. */
  readonly latencyMs?: number
  /** How long a sync takes. Default 5. */
  readonly syncLatencyMs?: number
  /** Chance that it is busy with compactions when it is asked. Default 0. */
  readonly busyChance?: number
  /** Default: none is missing. */
  readonly without?: readonly StateGuard[]
}

/**
 * A record with a flipped bit. Whoever needs it may write it anew, also once its journal counts as healed: that says that the range
 * itself needs nothing damaged any more, and an older record, below its session floor, may still be brought for a range cut from it.
 */
interface Flipped extends DbPut {
  readonly isFlipped: true
}

/** A batch that no sync has covered yet. */
interface Unsynced {
  readonly puts: readonly DbPut[]
  readonly removed: readonly string[]
  /** What was there before, in the order of change. */
  undo: { readonly key: string; readonly before: DbPut | null; readonly wasRotten: boolean }[]
  /** Which memtable it went to. */
  table: number
}

/**
 * LevelDB in memory, with what it does to unsynced writes: at a crash each batch since the last sync is kept or lost on
 * its own, whole, a later one kept without an earlier one. The object is the disk: after `crash()` or `close()` it is
 * used again as the next opening of the same database.
 */
export class MemoryStateDb implements StateDb {
  readonly #schedule: Schedule
  readonly #random: Random
  readonly #latencyMs: number
  readonly #syncLatencyMs: number
  readonly #busyChance: number
  readonly #without: readonly StateGuard[]
  #records = new SortedRecords()
  /** Done, in the order in which they were. */
  #unsynced: Unsynced[] = []
  #begun: Unsynced[] = []
  #table = 0
  #tableBytes = 0
  /** Counts openings: what an earlier one began is never finished. */
  #opening = 0
  #open = 0
  #reads = 0
  #removing = false
  #whenIdle: (() => void)[] = []
  #disk: string | null = null
  #marker = 0
  #damage: StateDamage | null = null
  /** Keys of records, damaged or hidden, that nobody has replaced and somebody is to find. */
  readonly #rotten = new Set<string>()
  /** No room: every write fails. */
  isFull = false
  /** A test put in what no entry wrote. What is applied over it is not what others write, and a snapshot brings theirs under the same keys. */
  isAltered = false
  /** When set, every sync fails so. */
  syncFailure: Error | null = null
  /** A test says that it is. */
  isMadeBusy = false
  onDamage: (damage: StateDamage) => void = () => {}
  /** Called for each batch that is handed over, with the physical keys of what it puts. */
  onBatch: (keys: readonly Uint8Array[]) => void = () => {}

  constructor({
    schedule,
    random,
    latencyMs = 1,
    syncLatencyMs = 5,
    busyChance = 0,
    without = [],
  }: MemoryStateDbOptions) {
    this.#busyChance = busyChance
    this.#without = without
    this.#schedule = schedule
    this.#random = random
    this.#latencyMs = latencyMs
    this.#syncLatencyMs = syncLatencyMs
  }

  get isBusy(): boolean {
    return this.isMadeBusy || (this.#busyChance > 0 && this.#random.next() < this.#busyChance)
  }

  get marker(): number {
    return this.#marker
  }

  get scrub(): ScrubStatus {
    return { tables: 0, unwalked: 0, damagedTables: 0 }
  }

  /** What `openStateDb` finds out: whether this is what our log knows, whole. */
  open({ disk, marker }: { disk: string; marker: number }): StateVerdict {
    const what =
      this.#disk !== null && this.#disk !== disk
        ? `it belongs to disk ${this.#disk}, not to ${disk}`
        : this.#marker < marker
          ? `it does not hold the state as of sync ${marker}`
          : this.#damage?.storages === 'all' || this.#damage?.journals === 'all'
            ? this.#damage.what
            : null
    if (what !== null) this.wipe()
    this.#disk = disk
    if (what !== null) return { kind: 'lost', what }
    if (this.#lacks('walk over the files')) return { kind: 'whole' }
    // What may wait for the scrub is in files beyond the budget of the walk at the start. No record that is not found is among them: a
    // checksum keeps a damaged one from being served, but of one that no index leads to a read can't know.
    for (const key of this.#rotten) {
      if (!this.#records.has(key) || this.#random.next() < 0.5) this.#note(damageAt(key))
      else this.#scrubLater(key)
    }
    return this.#damage === null ? { kind: 'whole' } : { kind: 'damaged', damage: this.#damage }
  }

  /** Some record is damaged, and somebody will find out. */
  get isRotten(): boolean {
    return this.#rotten.size > 0 && !this.#lacks('walk over the files')
  }

  /** Flips a bit in the value of some record, of this storage id if one is given. False: there is none. */
  rot(random: SeededRandom, storage?: number): boolean {
    const found = this.#all().filter(({ key, value }) => value.length > 0 && isOf(key, storage))
    if (found.length === 0) return false
    const { key, value } = random.pick(found)
    const damaged = new Uint8Array(value)
    damaged[random.below(value.length)]! ^= 1 << random.below(8)
    const flipped: Flipped = { key, value: damaged, isFlipped: true }
    this.#records.put(stringOf(key), flipped)
    this.#damaged(stringOf(key))
    return true
  }

  /** Some record is not found any more, the newest of its key if it has several. False: there is none. */
  hide(random: SeededRandom): boolean {
    const keys = this.#all().map(({ key }) => stringOf(key))
    const newest = keys.filter((key, at) => at === 0 || withoutVersion(key) !== withoutVersion(keys[at - 1]!))
    if (newest.length === 0) return false
    const key = random.pick(newest)
    this.#records.remove(key)
    this.#damaged(key)
    return true
  }

  /** Of the records there are, ascending; without the journal's. */
  storageIds(): number[] {
    return [...new Set(this.#all().map(({ key }) => storageOf(key)))].filter((id) => id !== JOURNAL)
  }

  #damaged(key: string): void {
    this.#rotten.add(key)
    this.#scrubLater(key)
  }

  /** The scrub finds it, sooner or later, if nobody reads it before and it is used that long. */
  #scrubLater(key: string): void {
    if (this.#lacks('walk over the files')) return
    this.#schedule(this.#random.next() * SCRUB_MS_MAX, () => {
      if (this.#rotten.has(key)) this.onDamage(damageAt(key))
    })
  }

  /** The disk is gone, another is in its place. */
  wipe(): void {
    this.#records = new SortedRecords()
    this.#rotten.clear()
    this.#unsynced = []
    this.#begun = []
    this.#disk = null
    this.#marker = 0
    this.#damage = null
  }

  /** A batch shows once it is done; a crash before that may keep it all the same. */
  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void {
    this.onBatch(puts.map(({ key }) => key))
    this.#change({ puts: puts.map(copyOf), removed: [], undo: [], table: 0 }, done)
  }

  remove(keys: readonly Uint8Array[], done: (error: Error | null) => void): void {
    if (this.#reads > 0) {
      assert(this.#lacks('read barrier'), 'a delete beside a read: LevelDB may lose other keys (google/leveldb#320)')
      this.#loseNeighbour(keys.at(-1)!)
    }
    assert(!this.#removing, 'two deletes at once')
    this.#removing = true
    this.#change({ puts: [], removed: keys.map(stringOf), undo: [], table: 0 }, (error) => {
      this.#removing = false
      done(error)
    })
  }

  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    const found = seeks.map(({ gte, lt }) => {
      const bounds = { gte: stringOf(gte), lt: stringOf(lt), reverse: false, limit: 1, bytesMax: 1 }
      return this.#records.range(bounds)[0] ?? null
    })
    this.#read(() => done(null, found))
  }

  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void {
    const rows = this.#records.range({ ...bounds, gte: stringOf(bounds.gte), lt: stringOf(bounds.lt) })
    this.#read(() => done(null, rows))
  }

  sync(done: (error: Error | null, marker: number) => void): void {
    if (this.isFull) return this.#after(this.#latencyMs, () => done(diskFull(), 0))
    const covered = new Set(this.#covered())
    this.#after(this.#syncLatencyMs, () => {
      if (this.syncFailure !== null) return done(this.syncFailure, 0)
      this.#unsynced = this.#unsynced.filter((batch) => !covered.has(batch))
      this.#marker++
      done(null, this.#marker)
    })
  }

  reopen(done: (error: Error | null) => void): void {
    this.#after(this.#latencyMs, () => done(this.isFull ? diskFull() : null))
  }

  markDamaged(damage: StateDamage, done: (error: Error | null) => void): void {
    this.#note(damage)
    this.#after(this.#latencyMs, () => done(null))
  }

  #note(damage: StateDamage): void {
    this.#damage = bothDamages(this.#damage, damage)
  }

  healed(what: { storage: StorageId } | { journal: RangeId }): void {
    for (const key of this.#rotten) {
      const { storages, journals } = damageAt(key)
      const isHealed = 'storage' in what ? storages[0] === what.storage : journals[0] === what.journal
      if (isHealed) this.#rotten.delete(key)
    }
    if (this.#damage === null) return
    const { storages, journals } = this.#damage
    const left = {
      what: this.#damage.what,
      storages: 'storage' in what && storages !== 'all' ? storages.filter((id) => id !== what.storage) : storages,
      journals: 'journal' in what && journals !== 'all' ? journals.filter((id) => id !== what.journal) : journals,
    }
    this.#damage = left.storages.length === 0 && left.journals.length === 0 ? null : left
  }

  /** Resolves when everything begun is done. */
  close(): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** The process ends: of what it had begun any part is kept, and all that was done. */
  kill(): void {
    this.#end()
    for (const batch of this.#begun.splice(0)) {
      if (this.#random.next() < 0.5) continue
      this.#unsynced.push(batch)
      this.#apply(batch)
    }
  }

  /** As it is on disk now, used by nobody: what no sync has covered is in it. */
  copy(): MemoryStateDb {
    const copy = new MemoryStateDb({
      schedule: this.#schedule,
      random: this.#random,
      latencyMs: this.#latencyMs,
      syncLatencyMs: this.#syncLatencyMs,
      busyChance: this.#busyChance,
      without: this.#without,
    })
    for (const put of this.#all()) copy.#records.put(stringOf(put.key), put)
    for (const key of this.#rotten) copy.#rotten.add(key)
    copy.#disk = this.#disk
    copy.#marker = this.#marker
    copy.#damage = this.#damage
    return copy
  }

  #all(): DbPut[] {
    return this.#records.range({ gte: '', lt: '\xff', reverse: false, limit: Infinity, bytesMax: Infinity })
  }

  #end(): void {
    this.#opening++
    this.#open = 0
    this.#reads = 0
    this.#removing = false
    this.#whenIdle = []
  }

  /** Power loss: nothing begun is finished, any subset of the unsynced batches is gone. */
  crash(): void {
    this.#end()
    const unsynced = [...this.#unsynced, ...this.#begun]
    for (const { undo } of this.#unsynced.toReversed()) {
      for (const { key, before, wasRotten } of undo.toReversed()) {
        if (before === null) this.#records.remove(key)
        else this.#records.put(key, before)
        if (wasRotten) this.#rotten.add(key)
        else this.#rotten.delete(key)
      }
    }
    this.#unsynced = []
    this.#begun = []
    for (const batch of unsynced) if (this.#random.next() < 0.5) this.#apply(batch)
  }

  #change(batch: Unsynced, done: (error: Error | null) => void): void {
    if (this.isFull) return this.#after(this.#latencyMs, () => done(diskFull()))
    this.#begun.push(batch)
    this.#after(this.#latencyMs, () => {
      this.#begun.splice(this.#begun.indexOf(batch), 1)
      this.#unsynced.push(batch)
      this.#apply(batch)
      this.#intoMemory(batch)
      done(null)
    })
  }

  /** A memtable that is full is written to a table file, which is synced, while the next one fills. */
  #intoMemory(batch: Unsynced): void {
    batch.table = this.#table
    for (const { key, value } of batch.puts) this.#tableBytes += key.length + value.length
    if (this.#tableBytes < MEMTABLE_BYTES) return
    this.#tableBytes = 0
    const full = this.#table++
    const opening = this.#opening
    this.#schedule(TABLE_MS, () => {
      if (opening === this.#opening) this.#unsynced = this.#unsynced.filter(({ table }) => table !== full)
    })
  }

  /** What a sync makes durable. */
  #covered(): readonly Unsynced[] {
    if (this.#lacks('wait for the sync')) return []
    if (!this.#lacks('sync of all files')) return this.#unsynced
    return this.#unsynced.filter(({ table }) => table === this.#table)
  }

  #lacks(guard: StateGuard): boolean {
    return this.#without.length > 0 && this.#without.includes(guard)
  }

  /** What a compaction makes of it later: the record behind a deleted one is gone, too (google/leveldb#320). */
  #loseNeighbour(key: Uint8Array): void {
    const bounds = { gte: stringOf(key), lt: '\xff', reverse: false, limit: 2, bytesMax: Infinity }
    const next = this.#records.range(bounds).at(-1)
    if (next !== undefined) this.#records.remove(stringOf(next.key))
  }

  #apply(batch: Unsynced): void {
    batch.undo = []
    for (const put of batch.puts) {
      const key = stringOf(put.key)
      const before = this.#records.put(key, put)
      const wasRotten = this.#rotten.delete(key)
      batch.undo.push({ key, before, wasRotten })
      if (before !== null && !('isFlipped' in before) && !this.isAltered) {
        assert(sameBytes(before.value, put.value), 'a record was written twice with two contents', key)
      }
    }
    for (const key of batch.removed) {
      const before = this.#records.remove(key)
      const wasRotten = this.#rotten.delete(key)
      if (before !== null || wasRotten) batch.undo.push({ key, before, wasRotten })
    }
  }

  #read(answer: () => void): void {
    assert(!this.#removing, 'a read beside a delete: LevelDB may lose other keys (google/leveldb#320)')
    this.#reads++
    this.#after(this.#latencyMs, () => {
      if (this.#lacks('read barrier')) this.#after(READ_LINGERS_MS, () => this.#reads--)
      else this.#reads--
      answer()
    })
  }

  #after(latencyMs: number, action: () => void): void {
    const opening = this.#opening
    this.#open++
    this.#schedule(latencyMs, () => {
      if (opening !== this.#opening) return
      this.#open--
      action()
      if (this.#open > 0) return
      for (const resolve of this.#whenIdle.splice(0)) resolve()
    })
  }
}

function withoutVersion(key: string): string {
  return key.slice(0, -7)
}

function diskFull(): Error {
  return Object.assign(new Error('no space left on the simulated disk'), { code: 'ENOSPC' })
}

function copyOf({ key, value }: DbPut): DbPut {
  return { key: new Uint8Array(key), value: new Uint8Array(value) }
}

function stringOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
