import { Packr } from 'msgpackr'
import type { StorageId } from '../../base/ids.js'
import type { HardState } from '../../raft/types.js'
import type { Checkpoint } from '../types.js'

// No record structures: they would make a body depend on what was packed before it.
const packr = new Packr({ useRecords: false })

/** Bodies of the log's small records, in memory of their own (pack gives a view of a buffer it uses again). */
export function packHardState(hardState: HardState): Uint8Array {
  return pack([hardState.term, hardState.vote, hardState.commit])
}

export function unpackHardState(body: Uint8Array): HardState {
  const [term, vote, commit] = packr.unpack(body) as [HardState['term'], HardState['vote'], HardState['commit']]
  return { term, vote, commit }
}

export function packCheckpoint(checkpoint: Checkpoint): Uint8Array {
  return pack(checkpoint)
}

export function unpackCheckpoint(body: Uint8Array): Checkpoint {
  return packr.unpack(body) as Checkpoint
}

export function packNextStorage(nextStorage: StorageId): Uint8Array {
  return pack([nextStorage])
}

export function unpackNextStorage(body: Uint8Array): StorageId {
  return (packr.unpack(body) as [StorageId])[0]
}

function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value))
}
