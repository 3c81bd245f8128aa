import { Worker } from 'node:worker_threads'
import { assert } from '../base/assert.js'

/** To the thread: `buffer` is shared, so nothing is copied on the way. */
export interface SyncRequest {
  readonly fd: number
  readonly buffer: SharedArrayBuffer
  readonly offset: number
  readonly length: number
  readonly at: number
}

/** null: written and synced. */
export type SyncReply = { readonly code: string; readonly message: string } | null

interface Write {
  readonly fd: number
  readonly bytes: Uint8Array
  readonly at: number
}

/**
 * Writes and syncs on a thread of its own, one after another: what LevelDB, DNS or zlib do in libuv's pool never
 * stands before a commit (docs/decisions/0002-log-sync-thread.md). The thread starts with the first write.
 */
export class SyncThread {
  #worker: Worker | null = null
  #waiting: ((error: Error | null) => void)[] = []

  /** Bytes in shared memory are read where they are and must not change until `done`; others are copied. */
  write({ fd, bytes, at }: Write, done: (error: Error | null) => void): void {
    this.#worker ??= this.#start()
    const shared = bytes.buffer instanceof SharedArrayBuffer ? bytes : toShared(bytes)
    const buffer = shared.buffer as SharedArrayBuffer
    const request: SyncRequest = { fd, buffer, offset: shared.byteOffset, length: shared.byteLength, at }
    this.#waiting.push(done)
    this.#worker.postMessage(request)
  }

  async close(): Promise<void> {
    assert(this.#waiting.length === 0, 'the sync thread is closed while it writes')
    await this.#worker?.terminate()
    this.#worker = null
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sync-worker.js', import.meta.url), { name: 'log sync' })
    worker.on('message', (reply: SyncReply) => this.#finish(reply === null ? null : toError(reply)))
    worker.on('error', (error) => {
      while (this.#waiting.length > 0) this.#finish(error)
    })
    return worker
  }

  #finish(error: Error | null): void {
    const done = this.#waiting.shift()
    assert(done !== undefined, 'the sync thread answered what nobody asked')
    done(error)
  }
}

function toShared(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  return shared
}

function toError({ code, message }: { code: string; message: string }): Error {
  return Object.assign(new Error(message), { code })
}
