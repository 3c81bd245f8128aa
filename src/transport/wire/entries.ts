import type { LogIndex, Term, Version } from '../../base/ids.js'
import type { Entry, EntryKind } from '../../raft/types.js'
import { ENTRY } from './peer-tags.js'
import { type Reader, WireError } from './reader.js'
import type { Writer } from './writer.js'

/** By their numbers on the wire. */
const entryKinds: readonly EntryKind[] = ['noop', 'commands', 'configuration']

export function writeEntry(writer: Writer, tag: number, entry: Entry): void {
  writer.open(tag, entry.payload.length + 24)
  writer.uint(ENTRY.index, entry.index)
  writer.uint(ENTRY.term, entry.term)
  writer.fixed(ENTRY.timestamp, entry.timestamp)
  writer.uint(ENTRY.kind, entryKinds.indexOf(entry.kind))
  writer.bytes(ENTRY.payload, entry.payload)
  writer.close()
}

export function readEntry(reader: Reader): Entry {
  const outer = reader.enter()
  let index = 0
  let term = 0
  let timestamp = 0
  let kindNumber = 0
  let payload: Uint8Array = EMPTY
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ENTRY.index) index = reader.uint()
    else if (tag === ENTRY.term) term = reader.uint()
    else if (tag === ENTRY.timestamp) timestamp = reader.fixed()
    else if (tag === ENTRY.kind) kindNumber = reader.uint()
    else if (tag === ENTRY.payload) payload = reader.copy()
    else reader.skip()
  }
  reader.leave(outer)
  const kind = entryKinds[kindNumber]
  if (kind === undefined) {
    throw new WireError(`entry kind ${kindNumber} is not known, expected 0 to ${entryKinds.length - 1}`)
  }
  if (term < 1) throw new WireError(`entry ${index} has term ${term}, expected 1 or more`)
  return { index: index as LogIndex, term: term as Term, timestamp: timestamp as Version, kind, payload }
}

const EMPTY = new Uint8Array(0)
