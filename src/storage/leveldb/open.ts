import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { StorageId } from '../../base/ids.js'
import { type Logger, silentLogger } from '../../base/ports.js'
import type { OpenedStateDb } from '../types.js'
import { DamageFile } from './damage-file.js'
import { type Level, LevelDb, openLevel, WRITE_BUFFER_BYTES } from './database.js'
import { inspect } from './inspect.js'
import { MARKERS_END, markerKey, tokenKey, tokenOf } from './own-keys.js'
import { type LevelSyncer, realSyncer, syncDirectory, syncLogFiles } from './sync-files.js'

/** So much is walked before the state is served; the rest soon after, by the scrub. */
const WALK_BYTES = 512 * 1024 * 1024

export interface OpenStateDbOptions {
  /** Names this data directory; the same that our log carries. A state database with another one is not ours. Empty: not known yet. */
  readonly disk: string
  /** Number of the last state sync that our log knows of; 0: none. An older state is not ours either. */
  readonly marker: number
  /**
   * The last process ended in a way that damaged files explain (SIGBUS): all of them are checked before anything is read, a minute per
   * 10 GB. Not in the background while it serves: kill -9 looks the same, and over a sector that can't be read the process would
   * die again at the first read of it, time after time, before the scrub got there.
   */
  readonly suspect: boolean
  /** As our log has it: no storage id from here on was ever used. */
  readonly nextStorage: StorageId
  readonly logger?: Logger
  /** Default 16 MiB. */
  readonly writeBufferBytes?: number
  /** For tests. */
  readonly syncer?: LevelSyncer
}

/**
 * Opens the state database in `directory`, made if there is none. One that has lost what a sync made durable is put aside
 * (`<directory>.lost`, which replaces an older one) and made anew, empty: the verdict says so. Throws what LevelDB says if it
 * cannot be opened for another reason (locked, no room, no permission).
 */
export async function openStateDb(directory: string, options: OpenStateDbOptions): Promise<OpenedStateDb> {
  const opening = new Opening(directory, options)
  const found = await opening.open()
  if (typeof found !== 'string') return found
  const { logger = silentLogger } = options
  logger.log('error', `the state is lost, its files are put aside as ${directory}.lost: ${found}`)
  await putAside(directory)
  const fresh = await new Opening(directory, options).open()
  if (typeof fresh === 'string') throw new Error(`a new state database is refused: ${fresh}`)
  return { db: fresh.db, verdict: { kind: 'lost', what: found } }
}

class Opening {
  readonly #directory: string
  readonly #options: OpenStateDbOptions
  readonly #syncer: LevelSyncer
  readonly #writeBufferBytes: number

  constructor(directory: string, options: OpenStateDbOptions) {
    this.#directory = directory
    this.#options = options
    this.#syncer = options.syncer ?? realSyncer
    this.#writeBufferBytes = options.writeBufferBytes ?? WRITE_BUFFER_BYTES
  }

  /** A text says why what was there is lost. */
  async open(): Promise<OpenedStateDb | string> {
    const directory = this.#directory
    const { marker, suspect, nextStorage } = this.#options
    const made = await mkdir(directory, { recursive: true, mode: 0o700 })
    // Else a power cut may take it with all that was synced inside.
    if (made !== undefined) await this.#syncer.syncDirectory(dirname(directory))
    const damageFile = await DamageFile.open(directory)
    const { damage } = damageFile
    if (damage !== null && (damage.storages === 'all' || damage.journals === 'all')) return damage.what
    const inspection = await inspect(directory, {
      witness: marker > 0 ? markerKey(marker) : null,
      bytesMax: suspect || damage !== null ? Number.POSITIVE_INFINITY : WALK_BYTES,
      highest: nextStorage - 1,
    })
    if (inspection.lost !== null) return inspection.lost
    const told = await damageFile.inspected(inspection.damage)
    if (told !== null && (told.storages === 'all' || told.journals === 'all')) return told.what
    await inspection.repair()
    let level: Level
    try {
      level = await openLevel(directory, this.#writeBufferBytes)
    } catch (error) {
      const { cause } = error as Error
      if ((cause as NodeJS.ErrnoException | undefined)?.code === 'LEVEL_CORRUPTION') return (cause as Error).message
      throw error
    }
    const refusal = await this.#identify(level)
    // A new one in the place of one that was lost, and nothing in it yet: lost it remains, until our log knows a sync of it.
    if (refusal !== null && !refusal.isEmpty) {
      await level.close()
      return refusal.what
    }
    const db = await LevelDb.of({
      directory,
      level,
      writeBufferBytes: this.#writeBufferBytes,
      syncer: this.#syncer,
      damageFile,
      walked: inspection.walked,
      highest: nextStorage - 1,
      marker,
    })
    if (refusal !== null) return { db, verdict: { kind: 'lost', what: refusal.what } }
    return { db, verdict: told === null ? { kind: 'whole' } : { kind: 'damaged', damage: told } }
  }

  /** Null: it is ours, as of the last sync at least. */
  async #identify(level: Level): Promise<{ what: string; isEmpty: boolean } | null> {
    const { disk, marker } = this.#options
    const tokens = (await level.keys({ gte: MARKERS_END }).all()).map(tokenOf)
    if (disk !== '' && tokens.length > 0 && !tokens.includes(disk)) {
      return { what: `it belongs to disk ${tokens.join()}, not to ${disk}`, isEmpty: false }
    }
    const [first] = await level.keys({ limit: 1 }).all()
    const isOlder = marker > 0 && (await level.getMany([markerKey(marker)]))[0] === undefined
    if (tokens.length === 0 && disk !== '' && (first === undefined || !isOlder)) {
      await level.batch([{ type: 'put', key: tokenKey(disk), value: new Uint8Array() }])
      await syncLogFiles(this.#directory, this.#syncer)
    }
    if (!isOlder) return null
    const isEmpty = first === undefined || Buffer.compare(first, MARKERS_END) >= 0
    return { what: `it does not hold the state as of sync ${marker}`, isEmpty }
  }
}

async function putAside(directory: string): Promise<void> {
  const aside = `${directory}.lost`
  await rm(aside, { recursive: true, force: true })
  await rename(directory, aside)
  await syncDirectory(dirname(directory))
}
