import { readSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Metrics, silentMetrics } from '../base/ports.js'
import { SyncThread } from './sync-thread.js'
import type { Files, LogFile } from './types.js'

/** Written and synced at a time while a segment is made, so that the log's own syncs never wait for all of it. */
const FILL_BYTES = 2 * 1024 * 1024

/**
 * The data directory on a real disk. Errors are those of node:fs. `close` ends the sync thread; log files must be
 * closed before.
 */
export async function openNodeFiles(
  directory: string,
  metrics: Metrics = silentMetrics,
): Promise<Files & { close(): Promise<void> }> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return new NodeFiles(directory, metrics)
}

class NodeFiles implements Files {
  readonly #directory: string
  readonly #metrics: Metrics
  readonly #thread = new SyncThread()

  constructor(directory: string, metrics: Metrics) {
    this.#directory = directory
    this.#metrics = metrics
  }

  async list(directory: string): Promise<string[]> {
    return (await orNull(readdir(this.#path(directory)))) ?? []
  }

  async makeDirectory(directory: string): Promise<void> {
    const made = await mkdir(this.#path(directory), { recursive: true, mode: 0o700 })
    if (made !== undefined) await this.syncDirectory(dirname(directory))
  }

  async createLogFile(path: string, size: number): Promise<LogFile> {
    await this.#requireRoom(dirname(path), size)
    const temporary = `${this.#path(path)}.tmp`
    const handle = await open(temporary, 'w+', 0o600)
    try {
      await fillWithZeros(handle, size)
      await rename(temporary, this.#path(path))
      await this.syncDirectory(dirname(path))
    } catch (error) {
      await handle.close()
      // What was filled takes the room that others may still need.
      await rm(temporary, { force: true })
      throw error
    }
    return new NodeLogFile({ handle, size, thread: this.#thread, metrics: this.#metrics })
  }

  async openLogFile(path: string): Promise<LogFile> {
    const handle = await open(this.#path(path), 'r+')
    const { size } = await handle.stat()
    return new NodeLogFile({ handle, size, thread: this.#thread, metrics: this.#metrics })
  }

  async read(path: string): Promise<Uint8Array | null> {
    const bytes = await orNull(readFile(this.#path(path)))
    return bytes === null ? null : new Uint8Array(bytes)
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${this.#path(path)}.tmp`
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, this.#path(path))
    await this.syncDirectory(dirname(path))
  }

  async remove(path: string): Promise<void> {
    await rm(this.#path(path), { force: true })
  }

  async syncDirectory(directory: string): Promise<void> {
    const handle = await open(this.#path(directory), 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async close(): Promise<void> {
    await this.#thread.close()
  }

  /** Asked first: to find out by filling the disk would take the last room from everybody else, again at every try. */
  async #requireRoom(directory: string, bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#path(directory))
    if (bavail * bsize >= bytes) return
    throw Object.assign(new Error(`ENOSPC: no space left on device, ${bytes} bytes in ${directory}`), {
      code: 'ENOSPC',
    })
  }

  #path(path: string): string {
    return join(this.#directory, path)
  }
}

class NodeLogFile implements LogFile {
  readonly size: number
  readonly #handle: FileHandle
  readonly #thread: SyncThread
  readonly #metrics: Metrics

  constructor(parts: { handle: FileHandle; size: number; thread: SyncThread; metrics: Metrics }) {
    this.#handle = parts.handle
    this.size = parts.size
    this.#thread = parts.thread
    this.#metrics = parts.metrics
  }

  writeAndSync(write: { bytes: Uint8Array; at: number }, done: (error: Error | null) => void): void {
    const began = performance.now()
    const bytes = write.bytes.length
    this.#thread.write({ fd: this.#handle.fd, ...write }, (error) => {
      this.#metrics.observe('log_sync_seconds', (performance.now() - began) / 1_000)
      this.#metrics.observe('log_batch_bytes', bytes)
      done(error)
    })
  }

  /** Shorter than asked where the file ends before. */
  readSync(range: { at: number; length: number }): Uint8Array {
    const bytes = new Uint8Array(range.length)
    let got = 0
    while (got < bytes.length) {
      const read = readSync(this.#handle.fd, bytes, got, bytes.length - got, range.at + got)
      if (read === 0) return bytes.subarray(0, got)
      got += read
    }
    return bytes
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

async function fillWithZeros(handle: FileHandle, size: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(FILL_BYTES, size))
  for (let at = 0; at < size; ) {
    const { bytesWritten } = await handle.write(zeros, 0, Math.min(zeros.length, size - at), at)
    await handle.datasync()
    at += bytesWritten
  }
  await handle.sync()
}

/** null where the file or directory is not there. */
async function orNull<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return null
    throw error
  }
}
