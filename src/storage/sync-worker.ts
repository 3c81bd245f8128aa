import { fdatasyncSync, writeSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { assert } from '../base/assert.js'
import type { SyncReply, SyncRequest } from './sync-thread.js'

/** The log's sync thread: writes in place, syncs, answers, in the order asked. */
assert(parentPort !== null, 'this file runs as a worker thread')
const port = parentPort
port.on('message', (request: SyncRequest) => port.postMessage(writeAndSync(request)))

function writeAndSync({ fd, buffer, offset, length, at }: SyncRequest): SyncReply {
  const bytes = new Uint8Array(buffer, offset, length)
  try {
    for (let written = 0; written < length; ) {
      written += writeSync(fd, bytes, written, length - written, at + written)
    }
    fdatasyncSync(fd)
    return null
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    return { code: String(code), message }
  }
}
