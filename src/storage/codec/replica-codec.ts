import type { StateChunk } from '../types.js'
import { decodeChunk, encodeChunk } from './chunk.js'
import { recordDigest } from './digest.js'
import { decodeCommands, encodeCommands } from './entry.js'

/** What a store encodes and decodes of its replicas' entries and snapshots. */
export const replicaCodec = {
  encodeCommands,
  decodeCommands,
  recordDigest,
  encodeChunk,
  /** Null: damaged, or not a chunk. */
  decodeChunk(bytes: Uint8Array): StateChunk | null {
    try {
      return decodeChunk(bytes)
    } catch {
      return null
    }
  },
}
