import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { DamagedError } from '../codec/errors.js'
import { isUnreadable } from '../unreadable.js'
import type { LiveTable } from './manifest.js'

/** Read at once: about two milliseconds of work for who walks it. */
const PIECE_BYTES = 256 * 1024

/**
 * A table on the disk, read piece by piece into one buffer: the youngest are as large as LevelDB's write buffer, and the scrub reads
 * several a second.
 */
export class TableFile {
  readonly bytes: number
  readonly #handle: FileHandle
  #piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  /** The piece holds the file from here, so far. */
  #at = 0
  #length = 0

  /** Null: it is gone. */
  static async open(directory: string, { number }: LiveTable): Promise<TableFile | null> {
    let handle: FileHandle
    try {
      handle = await open(join(directory, `${String(number).padStart(6, '0')}.ldb`))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
    try {
      return new TableFile(handle, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  private constructor(handle: FileHandle, bytes: number) {
    this.#handle = handle
    this.bytes = bytes
  }

  /** A view that the next read overwrites. Within the last piece it costs no reading. */
  async read(from: number, to: number): Promise<Buffer> {
    if (from < this.#at || to > this.#at + this.#length) await this.#fill(from, to)
    return this.#piece.subarray(from - this.#at, to - this.#at)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  async #fill(from: number, to: number): Promise<void> {
    if (to - from > this.#piece.length) this.#piece = Buffer.allocUnsafeSlow(to - from)
    this.#at = from
    this.#length = 0
    while (this.#length < to - from) {
      const free = this.#piece.length - this.#length
      const bytesRead = await this.#readOnce(free, from + this.#length)
      if (bytesRead === 0) throw new DamagedError(`it ends at ${from + this.#length}`)
      this.#length += bytesRead
    }
  }

  /** What a sector held that can't be read any more must come from a peer, like a block with a wrong checksum. */
  async #readOnce(length: number, position: number): Promise<number> {
    try {
      return (await this.#handle.read(this.#piece, this.#length, length, position)).bytesRead
    } catch (error) {
      if (!isUnreadable(error)) throw error
      throw new DamagedError(`it cannot be read at ${position}`)
    }
  }
}
