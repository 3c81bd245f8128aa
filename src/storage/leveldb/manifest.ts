import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { DamagedError } from '../codec/errors.js'
import { isUnreadable } from '../unreadable.js'
import { readLogFile } from './log-format.js'
import { readBytes, readVarint } from './varint.js'

/** Behind the user key: sequence number and type. */
const INTERNAL_BYTES = 8

/** Tags of db/version_edit.cc. */
export const Tag = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9,
} as const

/** A table that LevelDB counts as its own. Its keys are internal ones (`userKey`). */
export interface LiveTable {
  readonly level: number
  readonly number: number
  readonly bytes: number
  readonly smallest: Uint8Array
  readonly largest: Uint8Array
}

export interface Manifest {
  readonly name: string
  readonly bytes: number
  /** Log files from here on are replayed at an opening. */
  readonly logNumber: number
  readonly nextFile: number
  readonly lastSequence: number
  readonly comparator: Uint8Array
  readonly tables: readonly LiveTable[]
}

/** What CURRENT names. Null: there is no database. Throws DamagedError. */
export async function readManifest(directory: string): Promise<Manifest | null> {
  const current = await maybeRead(join(directory, 'CURRENT'))
  if (current === null) return null
  const name = /^(MANIFEST-\d+)\n$/.exec(current.toString('latin1'))?.[1]
  if (name === undefined) throw new DamagedError('CURRENT does not name a MANIFEST')
  const file = await maybeRead(join(directory, name))
  if (file === null) throw new DamagedError(`CURRENT names ${name}, which is not there`)
  return parsed(name, file)
}

async function maybeRead(path: string): Promise<Buffer | null> {
  try {
    return await readWhole(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Throws DamagedError. */
export async function readWhole(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    if (!isUnreadable(error)) throw error
    throw new DamagedError(`${basename(path)} cannot be read`)
  }
}

/** Files of one kind in the directory, by number. */
export async function numbered(directory: string, extension: string): Promise<{ number: number; path: string }[]> {
  const names = await readdir(directory)
  return names
    .filter((name) => name.endsWith(extension) && /^\d+$/.test(name.slice(0, -extension.length)))
    .map((name) => ({ number: Number(name.slice(0, -extension.length)), path: join(directory, name) }))
    .sort((a, b) => a.number - b.number)
}

/**
 * The end of the file may be an edit that was being written when the power failed: LevelDB syncs each before it acts on it, so what it
 * replaced is still there. A bad piece before a good one is damage.
 */
function parsed(name: string, file: Uint8Array): Manifest {
  const edits = new Edits()
  let bad: string | null = null
  let count = 0
  for (const piece of readLogFile(file)) {
    if (piece.kind === 'bad') bad ??= piece.what
    else {
      if (bad !== null) throw new DamagedError(`${name}: ${bad}`)
      edits.take(piece.bytes)
      count++
    }
  }
  if (count === 0) throw new DamagedError(`${name} holds nothing`)
  const { logNumber, nextFile, lastSequence, comparator } = edits
  const tables = [...edits.tables.values()]
  return { name, bytes: file.length, logNumber, nextFile, lastSequence, comparator, tables }
}

class Edits {
  logNumber = 0
  nextFile = 0
  lastSequence = 0
  comparator: Uint8Array = new Uint8Array()
  readonly tables = new Map<number, LiveTable>()
  #bytes: Uint8Array = new Uint8Array()
  #at = 0

  take(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#at = 0
    while (this.#at < bytes.length) this.#field(this.#number())
  }

  #field(tag: number): void {
    switch (tag) {
      case Tag.comparator:
        this.comparator = new Uint8Array(this.#slice())
        return
      case Tag.logNumber:
        this.logNumber = this.#number()
        return
      case Tag.nextFile:
        this.nextFile = this.#number()
        return
      case Tag.lastSequence:
        this.lastSequence = this.#number()
        return
      case Tag.previousLog:
        this.#number()
        return
      case Tag.compactPointer:
        this.#number()
        this.#slice()
        return
      case Tag.deletedFile:
        this.#number()
        this.tables.delete(this.#number())
        return
      case Tag.newFile:
        return this.#newTable()
      default:
        throw new DamagedError(`an edit with the tag ${tag}`)
    }
  }

  #newTable(): void {
    const level = this.#number()
    const number = this.#number()
    const bytes = this.#number()
    const smallest = new Uint8Array(this.#slice())
    const largest = new Uint8Array(this.#slice())
    this.tables.set(number, { level, number, bytes, smallest, largest })
  }

  #number(): number {
    const { value, end } = readVarint(this.#bytes, this.#at)
    this.#at = end
    return value
  }

  #slice(): Uint8Array {
    const { value, end } = readBytes(this.#bytes, this.#at)
    this.#at = end
    return value
  }
}

/** The physical key: without what LevelDB appends to it. */
export function userKey(internal: Uint8Array): Uint8Array {
  return internal.subarray(0, Math.max(0, internal.length - INTERNAL_BYTES))
}
