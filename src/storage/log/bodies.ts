import { Packr } from 'msgpackr'
import type { Checkpoint } from '../types.js'

// No record structures: they would make a body depend on what was packed before it.
const packr = new Packr({ useRecords: false })

/** In memory of its own (pack gives a view of a buffer it uses again). */
export function packCheckpoint(checkpoint: Checkpoint): Uint8Array {
  return new Uint8Array(packr.pack(checkpoint))
}

export function unpackCheckpoint(body: Uint8Array): Checkpoint {
  return packr.unpack(body) as Checkpoint
}

export function packDisk(disk: string): Uint8Array {
  return new Uint8Array(Buffer.from(disk, 'utf8'))
}

export function unpackDisk(body: Uint8Array): string {
  return Buffer.from(body).toString('utf8')
}
