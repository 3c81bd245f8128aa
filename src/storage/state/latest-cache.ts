import { assert } from '../../base/assert.js'
import type { StorageId, Version } from '../../base/ids.js'
import type { Stored } from '../../kv/types.js'
import { codecOf, codecTag } from '../codec/parts.js'

const WORD = 4
const TWO_32 = 0x1_0000_0000

// A record in the ring, in words of 32 bits: its length in words (negative: nothing but room up to the ring's end), hash,
// storage id, version (high, low), key length, value length, kind and codec and whether it is dead; key and value follow.
const LENGTH = 0
const HASH = 1
const STORAGE = 2
const VERSION_HIGH = 3
const VERSION_LOW = 4
const KEY_LENGTH = 5
const VALUE_LENGTH = 6
const MARKS = 7
const HEADER_WORDS = 8

const CODEC_MASK = 0xff
const ABSENT = 0x100
const TOMBSTONE = 0x200
const DEAD = 0x400

/** At most three quarters of the index are in use, so that a search ends soon. */
const LOAD = 0.75
/** Bytes of ring per slot of the index. */
const RECORD_BYTES_EXPECTED = 64
const SLOTS_MIN = 8

/**
 * The newest record of each key, for keys written or read lately; absent keys too. An authority: what it holds is what
 * apply would read. Bounded in bytes, two allocations for ever: a ring of records in order of arrival, the oldest
 * overwritten first, and an index into it by open addressing. Nothing here is an object that the collector must visit.
 */
export class LatestCache {
  readonly #valueBytesMax: number
  readonly #ring: Uint8Array
  readonly #words: Int32Array
  /** Place in `#words` plus one; 0: free. */
  readonly #slots: Int32Array
  readonly #mask: number
  /** Records of the ring that the index knows. */
  #live = 0
  /** Words between tail and head, records dead and alive. */
  #used = 0
  #head = 0
  #tail = 0

  /** `bytes` covers ring and index. Larger values than `valueBytesMax` are not kept. */
  constructor({ bytes, valueBytesMax }: { bytes: number; valueBytesMax: number }) {
    let slots = SLOTS_MIN
    while (slots * 2 * RECORD_BYTES_EXPECTED <= bytes) slots *= 2
    const ringWords = Math.max(0, Math.floor(bytes / WORD) - slots)
    this.#words = new Int32Array(ringWords)
    this.#ring = new Uint8Array(this.#words.buffer)
    this.#slots = new Int32Array(slots)
    this.#mask = slots - 1
    this.#valueBytesMax = valueBytesMax
  }

  /**
   * null: known to be absent. undefined: not known. The value is a copy, of Buffer's pool: small ones share a block of
   * 8 KiB, so who keeps one for long copies it (memory of its own for each costs three times as much, and a collection).
   */
  get(storage: StorageId, key: string): Stored | null | undefined {
    const slot = this.#find(storage, key, hashOf(storage, key))
    if (slot < 0) return undefined
    const words = this.#words
    const at = this.#slots[slot]! - 1
    const marks = words[at + MARKS]!
    if ((marks & ABSENT) !== 0) return null
    const version = (words[at + VERSION_HIGH]! * TWO_32 + (words[at + VERSION_LOW]! >>> 0)) as Version
    const codec = codecOf(marks & CODEC_MASK)
    if ((marks & TOMBSTONE) !== 0) return { version, value: null, codec }
    const from = (at + HEADER_WORDS) * WORD + words[at + KEY_LENGTH]!
    const length = words[at + VALUE_LENGTH]!
    const value = Buffer.allocUnsafe(length)
    value.set(this.#ring.subarray(from, from + length))
    return { version, value, codec }
  }

  /** `record` is the newest of its key now; null: there is none. Replaces or forgets what was known. */
  set(storage: StorageId, key: string, record: Stored | null): void {
    const hash = hashOf(storage, key)
    const known = this.#find(storage, key, hash)
    if (known >= 0) this.#forget(known)
    const value = record === null ? null : record.value
    const valueLength = value === null ? 0 : value.length
    if (valueLength > this.#valueBytesMax) return
    const length = HEADER_WORDS + Math.ceil((key.length + valueLength) / WORD)
    if (!this.#makeRoom(length)) return
    const at = this.#head
    this.#head += length
    this.#used += length
    const words = this.#words
    words[at + LENGTH] = length
    words[at + HASH] = hash
    words[at + STORAGE] = storage
    words[at + KEY_LENGTH] = key.length
    words[at + VALUE_LENGTH] = valueLength
    words[at + VERSION_HIGH] = record === null ? 0 : Math.floor(record.version / TWO_32)
    words[at + VERSION_LOW] = record === null ? 0 : record.version
    words[at + MARKS] = record === null ? ABSENT : codecTag(record.codec) | (value === null ? TOMBSTONE : 0)
    const ring = this.#ring
    let byte = (at + HEADER_WORDS) * WORD
    for (let i = 0; i < key.length; i++) ring[byte++] = key.charCodeAt(i)
    if (value !== null) ring.set(value, byte)
    this.#enter(hash, at)
  }

  #find(storage: StorageId, key: string, hash: number): number {
    const words = this.#words
    for (let slot = hash & this.#mask; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const at = this.#slots[slot]! - 1
      if (words[at + HASH] === hash && words[at + STORAGE] === (storage | 0) && this.#hasKey(at, key)) return slot
    }
    return -1
  }

  #hasKey(at: number, key: string): boolean {
    if (this.#words[at + KEY_LENGTH] !== key.length) return false
    const ring = this.#ring
    const from = (at + HEADER_WORDS) * WORD
    for (let i = 0; i < key.length; i++) if (ring[from + i] !== key.charCodeAt(i)) return false
    return true
  }

  #enter(hash: number, at: number): void {
    let slot = hash & this.#mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#slots[slot] = at + 1
    this.#live++
  }

  /** Frees a slot and moves back those that follow it, so that no search ends at the hole (Knuth 6.4, algorithm R). */
  #forget(slot: number): void {
    this.#words[this.#slots[slot]! - 1 + MARKS]! |= DEAD
    this.#live--
    let hole = slot
    for (let next = (hole + 1) & this.#mask; this.#slots[next] !== 0; next = (next + 1) & this.#mask) {
      const home = this.#words[this.#slots[next]! - 1 + HASH]! & this.#mask
      const distanceToHole = (next - hole) & this.#mask
      const distanceToHome = (next - home) & this.#mask
      if (distanceToHome < distanceToHole) continue
      this.#slots[hole] = this.#slots[next]!
      hole = next
    }
    this.#slots[hole] = 0
  }

  /** Makes `length` words free at the head. False: the ring is smaller than that. */
  #makeRoom(length: number): boolean {
    const size = this.#words.length
    if (length > size) return false
    while (this.#live >= this.#slots.length * LOAD) this.#evictOldest()
    for (;;) {
      if (this.#used === 0) {
        this.#head = 0
        this.#tail = 0
        return true
      }
      if (this.#head > this.#tail) {
        const left = size - this.#head
        if (left >= length) return true
        if (left > 0) this.#words[this.#head + LENGTH] = -left
        this.#used += left
        this.#head = 0
      } else {
        if (this.#tail - this.#head >= length) return true
        this.#evictOldest()
      }
    }
  }

  #evictOldest(): void {
    assert(this.#used > 0, 'nothing to evict')
    const at = this.#tail
    const length = this.#words[at + LENGTH]!
    if (length > 0 && (this.#words[at + MARKS]! & DEAD) === 0) {
      let slot = this.#words[at + HASH]! & this.#mask
      while (this.#slots[slot] !== at + 1) slot = (slot + 1) & this.#mask
      this.#forget(slot)
    }
    this.#used -= Math.abs(length)
    this.#tail += Math.abs(length)
    if (this.#tail === this.#words.length) this.#tail = 0
  }
}

/** FNV-1a over the key's bytes, seeded by the storage id, then mixed so that the low bits depend on all of it. */
function hashOf(storage: StorageId, key: string): number {
  let hash = Math.imul(storage, 0x9e37_79b1) ^ 0x811c_9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d)
  return hash ^ (hash >>> 13)
}
