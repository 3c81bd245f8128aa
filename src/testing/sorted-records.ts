import type { DbPut } from '../storage/types.js'

const CHUNK_RECORDS_MAX = 512

interface Chunk {
  readonly keys: string[]
  readonly puts: DbPut[]
}

export interface StringBounds {
  readonly gte: string
  readonly lt: string
  readonly reverse: boolean
  readonly limit: number
  readonly bytesMax: number
}

/** Records in key order: sorted pieces of bounded length, so that an insert moves few of them. Keys are binary strings. */
export class SortedRecords {
  readonly #chunks: Chunk[] = [{ keys: [], puts: [] }]

  /** Returns what was there before. */
  put(key: string, put: DbPut): DbPut | null {
    const place = this.#chunkOf(key)
    const chunk = this.#chunks[place]!
    const at = lowerBound(chunk.keys, key)
    if (chunk.keys[at] === key) {
      const before = chunk.puts[at]!
      chunk.puts[at] = put
      return before
    }
    chunk.keys.splice(at, 0, key)
    chunk.puts.splice(at, 0, put)
    if (chunk.keys.length > CHUNK_RECORDS_MAX) this.#cut(place)
    return null
  }

  /** Returns what was there. */
  remove(key: string): DbPut | null {
    const place = this.#chunkOf(key)
    const chunk = this.#chunks[place]!
    const at = lowerBound(chunk.keys, key)
    if (chunk.keys[at] !== key) return null
    chunk.keys.splice(at, 1)
    const [before] = chunk.puts.splice(at, 1)
    if (chunk.keys.length === 0 && this.#chunks.length > 1) this.#chunks.splice(place, 1)
    return before ?? null
  }

  has(key: string): boolean {
    const { keys } = this.#chunks[this.#chunkOf(key)]!
    return keys[lowerBound(keys, key)] === key
  }

  range({ gte, lt, reverse, limit, bytesMax }: StringBounds): DbPut[] {
    const rows: DbPut[] = []
    if (gte >= lt) return rows
    const step = reverse ? -1 : 1
    let place = this.#chunkOf(reverse ? lt : gte)
    let at = lowerBound(this.#chunks[place]!.keys, reverse ? lt : gte) - (reverse ? 1 : 0)
    for (let bytes = 0; rows.length < limit && bytes < bytesMax; at += step) {
      let chunk = this.#chunks[place]!
      while (at < 0 || at >= chunk.keys.length) {
        place += step
        const next = this.#chunks[place]
        if (next === undefined) return rows
        chunk = next
        at = reverse ? chunk.keys.length - 1 : 0
      }
      const key = chunk.keys[at]!
      if (reverse ? key < gte : key >= lt) return rows
      const put = chunk.puts[at]!
      rows.push(put)
      bytes += put.key.length + put.value.length
    }
    return rows
  }

  /** The last chunk that begins at or before `key`, else the first. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#chunks[middle]!.keys[0]! <= key) low = middle
      else high = middle - 1
    }
    return low
  }

  #cut(place: number): void {
    const chunk = this.#chunks[place]!
    const half = chunk.keys.length >>> 1
    this.#chunks.splice(place + 1, 0, { keys: chunk.keys.splice(half), puts: chunk.puts.splice(half) })
  }
}

/** Place of the first key >= `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle]! < key) low = middle + 1
    else high = middle
  }
  return low
}
