import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { readUint56, writeUint56 } from './codec/bytes.js'
import type { DbPut, StateDb } from './types.js'

type Level = ClassicLevel<Uint8Array, Uint8Array>

/** Sync markers stand behind everything else: FF FF FF FF, then a number of 7 bytes. */
const MARKER_PREFIX = 0xff
const MARKER_PREFIX_BYTES = 4
const MARKER_BYTES = MARKER_PREFIX_BYTES + 7

/** Figures and reasons in docs/decisions/0003-state-keys.md. */
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024
const BLOCK_CACHE_BYTES = 32 * 1024 * 1024

/** The state database in `directory`, made if there is none. Throws what LevelDB says if it cannot be opened. */
export async function openLevelDb(directory: string): Promise<StateDb> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: BLOCK_CACHE_BYTES,
  })
  await level.open()
  const [last] = await level.keys({ gte: markerKey(0), reverse: true, limit: 1 }).all()
  return new LevelDb({ directory, level, nextMarker: last ? readUint56(last, MARKER_PREFIX_BYTES) + 1 : 0 })
}

class LevelDb implements StateDb {
  readonly #directory: string
  readonly #level: Level
  #nextMarker: number

  constructor({ directory, level, nextMarker }: { directory: string; level: Level; nextMarker: number }) {
    this.#directory = directory
    this.#level = level
    this.#nextMarker = nextMarker
  }

  batch(puts: readonly DbPut[], done: (error: Error | null) => void): void {
    settle(this.#write(puts), () => done(null), done)
  }

  seek(
    seeks: readonly { gte: Uint8Array; lt: Uint8Array }[],
    done: (error: Error | null, found: readonly (DbPut | null)[]) => void,
  ): void {
    const found = Promise.all(seeks.map((bounds) => this.#read({ ...bounds, limit: 1 })))
    settle(
      found,
      (rows) =>
        done(
          null,
          rows.map(([row]) => row ?? null),
        ),
      (error) => done(error, []),
    )
  }

  range(
    bounds: { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number; bytesMax: number },
    done: (error: Error | null, rows: readonly DbPut[]) => void,
  ): void {
    settle(
      this.#read(bounds),
      (rows) => done(null, rows),
      (error) => done(error, []),
    )
  }

  sync(done: (error: Error | null) => void): void {
    settle(this.#sync(), () => done(null), done)
  }

  close(): Promise<void> {
    return this.#level.close()
  }

  /** A chained batch copies keys and values at once and costs a third of an array of operations. */
  #write(puts: readonly DbPut[]): Promise<void> {
    const batch = this.#level.batch()
    for (const { key, value } of puts) batch.put(key, value)
    return batch.write({ sync: false })
  }

  async #read(bounds: {
    gte: Uint8Array
    lt: Uint8Array
    reverse?: boolean
    limit: number
    bytesMax?: number
  }): Promise<DbPut[]> {
    const { gte, lt, reverse = false, limit, bytesMax = 1 } = bounds
    // The iterator stops above its mark, the port at its bound.
    const iterator = this.#level.iterator({ gte, lt, reverse, limit, highWaterMarkBytes: bytesMax - 1 })
    try {
      const rows = await iterator.nextv(bounds.limit)
      return rows.map(([key, value]) => ({ key, value }))
    } finally {
      await iterator.close()
    }
  }

  /**
   * LevelDB's own `sync: true` syncs only its newest log file: a memtable that was switched and is not yet a table would
   * be lost. So: a marker, behind which everything done before has reached a file, then all log files that are there
   * (one that has gone was turned into a table, which LevelDB syncs), then the directory that names them.
   */
  async #sync(): Promise<void> {
    await this.#write([{ key: markerKey(this.#nextMarker++), value: new Uint8Array() }])
    const names = await readdir(this.#directory)
    await Promise.all(
      names.filter((name) => name.endsWith('.log')).map((name) => syncData(join(this.#directory, name))),
    )
    await syncDirectory(this.#directory)
  }
}

function markerKey(marker: number): Uint8Array {
  const key = new Uint8Array(MARKER_BYTES).fill(MARKER_PREFIX, 0, MARKER_PREFIX_BYTES)
  writeUint56(key, MARKER_PREFIX_BYTES, marker)
  return key
}

async function syncData(path: string): Promise<void> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** What `onDone` throws is not caught as a failure of the database: it becomes an unhandled rejection, which ends the process. */
function settle<T>(promise: Promise<T>, onDone: (value: T) => void, onError: (error: Error) => void): void {
  promise.then(onDone, (error: unknown) => onError(error instanceof Error ? error : new Error(String(error))))
}
