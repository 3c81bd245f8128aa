import type { StorageId } from '../../base/ids.js'

/** A key that is being read from LevelDB. `overtaken`: it was written meanwhile, what is read must not enter the cache. */
export interface OpenFetch {
  readonly storage: StorageId
  readonly key: string
  overtaken: boolean
  readers: number
}

/** The keys being read from LevelDB for the cache. Usually few or none. */
export class OpenFetches {
  readonly #open = new Map<StorageId, Map<string, OpenFetch>>()

  begin(storage: StorageId, key: string): OpenFetch {
    let keys = this.#open.get(storage)
    if (keys === undefined) {
      keys = new Map()
      this.#open.set(storage, keys)
    }
    let fetch = keys.get(key)
    if (fetch === undefined) {
      fetch = { storage, key, overtaken: false, readers: 0 }
      keys.set(key, fetch)
    }
    fetch.readers++
    return fetch
  }

  /** A fetch that begins after this sees the write. */
  overtake(storage: StorageId, key: string): void {
    if (this.#open.size === 0) return
    const fetch = this.#open.get(storage)?.get(key)
    if (fetch === undefined) return
    fetch.overtaken = true
    this.#forget(fetch)
  }

  end(fetch: OpenFetch): void {
    fetch.readers--
    if (fetch.readers === 0 && !fetch.overtaken) this.#forget(fetch)
  }

  #forget({ storage, key }: OpenFetch): void {
    const keys = this.#open.get(storage)
    keys?.delete(key)
    if (keys?.size === 0) this.#open.delete(storage)
  }
}
