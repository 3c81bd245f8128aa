import { assert } from '../base/assert.js'
import type { Key, LogIndex, RangeId, StorageId, Term, Version } from '../base/ids.js'
import { RangeMachine } from '../kv/machine.js'
import type { AppliedEntry, Command, SplitEffect, Stored } from '../kv/types.js'
import type { Entry } from '../raft/types.js'
import { contains } from '../range/span.js'
import type { Checkpoint } from '../storage/types.js'
import type { ReplicaHost, ReplicaParts, StagedState } from './replica-parts.js'
import { cutStorages } from './storages.js'

interface Lookup {
  readonly storage: StorageId
  readonly key: Key
  readonly upTo: Version
}

/** What a replica has applied: its machine, where its records lie, and the way of the next entry into them. */
export class AppliedState {
  readonly #range: RangeId
  readonly #host: Pick<ReplicaHost, 'state' | 'codec' | 'logBatch'>
  readonly #onFetched: () => void
  #machine: RangeMachine
  #storages: Checkpoint['storages']
  #applied: { readonly index: LogIndex; readonly term: Term }
  /** Counts states: what was read of, or pictured from, an earlier one is void. */
  #incarnation = 0
  #fetching = false
  /** All that the next entry reads, once it is whole. */
  #picture: ReadonlyMap<Key, Stored | null> | null = null

  /** `onFetched`: what the next entry reads is at hand. */
  constructor(host: ReplicaHost, parts: ReplicaParts, onFetched: () => void) {
    this.#host = host
    this.#onFetched = onFetched
    this.#range = parts.range
    this.#machine = new RangeMachine(
      parts.range,
      parts.bookkeeping,
      { recordDigest: (record) => host.codec.recordDigest(record) },
      parts.sessions ?? undefined,
    )
    this.#storages = parts.storages
    this.#applied = parts.applied
  }

  get machine(): RangeMachine {
    return this.#machine
  }

  /** Empty: there is no state. */
  get storages(): Checkpoint['storages'] {
    return this.#storages
  }

  get applied(): { readonly index: LogIndex; readonly term: Term } {
    return this.#applied
  }

  get incarnation(): number {
    return this.#incarnation
  }

  /** The next entry waits for the disk. */
  get isFetching(): boolean {
    return this.#fetching
  }

  storageOf(key: Key): StorageId {
    const found = this.#storages.find((each) => contains(each.span, key))
    assert(found !== undefined, 'no storage covers the key', this.#range)
    return found.storage
  }

  /** Starts reading what the conditions will need, while the entry is on its way to a majority. */
  warm(commands: readonly Command[]): void {
    const { missing } = this.#look(this.#machine.needs(commands))
    if (missing.length > 0) this.#host.state.fetch(missing, () => {})
  }

  /** What is at hand of these keys, and what has to be fetched. Keys outside of the range are never read. */
  #look(keys: readonly Key[]): { picture: Map<Key, Stored | null>; missing: Lookup[] } {
    const { descriptor, clock } = this.#machine.bookkeeping
    const picture = new Map<Key, Stored | null>()
    const missing: Lookup[] = []
    for (const key of keys) {
      if (!contains(descriptor.span, key)) continue
      const storage = this.storageOf(key)
      const known = this.#host.state.peek({ storage, key })
      if (known === undefined) missing.push({ storage, key, upTo: clock })
      else picture.set(key, known)
    }
    return { picture, missing }
  }

  /**
   * Applies the next entry, or returns null: it has to wait for the disk, and is to come again when its picture is whole. The picture
   * holds what was at hand too: the cache may let go of it while the rest is fetched. It cannot age: nothing else writes this
   * range's keys.
   */
  apply(entry: Entry, commands: readonly Command[]): AppliedEntry | null {
    assert(entry.index === this.#applied.index + 1, 'entries apply in order', this.#range, entry.index)
    if (this.#picture === null) {
      const { picture, missing } = this.#look(this.#machine.needs(commands))
      if (missing.length > 0) {
        this.#fetch(picture, missing)
        return null
      }
      this.#picture = picture
    }
    const applied = this.#machine.apply(
      { index: entry.index, term: entry.term, timestamp: entry.timestamp, commands },
      { latest: (key) => this.#latest(key) },
    )
    this.#picture = null
    this.#applied = { index: entry.index, term: entry.term }
    this.#write(applied)
    return applied
  }

  #fetch(picture: Map<Key, Stored | null>, missing: readonly Lookup[]): void {
    this.#fetching = true
    const incarnation = this.#incarnation
    this.#host.state.fetch(missing, (found) => {
      // The state that was asked is gone, or damaged, which ends it as soon as its damage is told.
      if (incarnation !== this.#incarnation || found === null) return
      this.#fetching = false
      missing.forEach(({ key }, at) => {
        picture.set(key, found[at] ?? null)
      })
      this.#picture = picture
      this.#onFetched()
    })
  }

  #latest(key: Key): Stored | null {
    const pictured = this.#picture?.get(key)
    assert(pictured !== undefined, 'apply reads only what it named', this.#range)
    return pictured
  }

  #write(applied: AppliedEntry): void {
    if (applied.records.length === 0 && applied.journal === null) return
    const records = applied.records.map((record) => ({ storage: this.storageOf(record.key), record }))
    const journals = applied.journal === null ? [] : [{ range: this.#range, record: applied.journal }]
    this.#host.state.write({ records, journals }, this.#host.logBatch())
  }

  /** A split moves no data: the child reads the same storage ids. Returns those of the child. */
  split(effect: SplitEffect): Checkpoint['storages'] {
    const childStorages = cutStorages(this.#storages, effect.bookkeeping.descriptor.span)
    this.#storages = cutStorages(this.#storages, this.#machine.bookkeeping.descriptor.span)
    return childStorages
  }

  install({ machine, storages, applied }: StagedState): void {
    assert(machine.bookkeeping.descriptor.range === this.#range, 'a state of another range', this.#range)
    this.end()
    this.#machine = machine
    this.#storages = storages
    this.#applied = applied
  }

  lose(): void {
    this.end()
    this.#storages = []
  }

  /** What is still read of this state is void. */
  end(): void {
    this.#incarnation++
    this.#fetching = false
    this.#picture = null
  }
}
