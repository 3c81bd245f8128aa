import type { Bookkeeping } from '../../kv/types.js'
import type { PlacementMessage, ReplicaMessage, SnapshotOfferMessage } from '../../store/ports.js'
import { writeEntry } from './entries.js'
import { writeDescriptor } from './nouns.js'
import {
  ABOUT,
  ADVANCE,
  BOOKKEEPING,
  DIGEST,
  FETCH_ENTRY,
  FETCHED_ENTRY,
  LINEAGE_PIECE,
  MESSAGE,
  PLACE,
  SNAPSHOT_CHUNK,
  SNAPSHOT_OFFER,
  SNAPSHOT_PULL,
  SNAPSHOT_REFUSED,
  SPLIT_PLACE,
  VACANT,
} from './peer-tags.js'
import type { Writer } from './writer.js'

/** The kind of a message between replicas, without its envelope. */
export function writeReplicaKind(writer: Writer, message: ReplicaMessage): void {
  switch (message.type) {
    case 'advance':
      writer.open(MESSAGE.advance)
      writer.fixed(ADVANCE.version, message.version)
      break
    case 'fetchEntry':
      writer.open(MESSAGE.fetchEntry)
      writer.uint(FETCH_ENTRY.index, message.index)
      writer.uint(FETCH_ENTRY.term, message.term)
      break
    case 'fetchedEntry':
      writer.open(MESSAGE.fetchedEntry, message.entry === null ? 0 : message.entry.payload.length + 64)
      writer.uint(FETCHED_ENTRY.index, message.index)
      if (message.entry !== null) writeEntry(writer, FETCHED_ENTRY.entry, message.entry)
      break
    case 'digest':
      writer.open(MESSAGE.digest)
      writer.uint(DIGEST.index, message.index)
      writer.uint(DIGEST.digest, message.digest)
      break
    case 'snapshotOffer':
      writeOffer(writer, message)
      break
    case 'snapshotPull':
      writer.open(MESSAGE.snapshotPull)
      writer.uint(SNAPSHOT_PULL.id, message.id)
      writer.uint(SNAPSHOT_PULL.sequence, message.sequence)
      break
    case 'snapshotChunk':
      writer.open(MESSAGE.snapshotChunk, message.bytes.length + 32)
      writer.uint(SNAPSHOT_CHUNK.id, message.id)
      writer.uint(SNAPSHOT_CHUNK.sequence, message.sequence)
      writer.flag(SNAPSHOT_CHUNK.last, message.last)
      writer.bytes(SNAPSHOT_CHUNK.data, message.bytes)
      break
    case 'snapshotRefused':
      writer.open(MESSAGE.snapshotRefused)
      writer.uint(SNAPSHOT_REFUSED.id, message.id)
      writer.utf8(SNAPSHOT_REFUSED.reason, message.reason)
      break
  }
  writer.close()
}

function writeOffer(writer: Writer, offer: SnapshotOfferMessage): void {
  writer.open(MESSAGE.snapshotOffer)
  writer.uint(SNAPSHOT_OFFER.id, offer.id)
  writer.uint(SNAPSHOT_OFFER.index, offer.index)
  writer.uint(SNAPSHOT_OFFER.entryTerm, offer.entryTerm)
  writer.fixed(SNAPSHOT_OFFER.timestamp, offer.timestamp)
  writeBookkeeping(writer, SNAPSHOT_OFFER.bookkeeping, offer.bookkeeping)
}

function writeBookkeeping(writer: Writer, tag: number, bookkeeping: Bookkeeping): void {
  writer.open(tag)
  writeDescriptor(writer, BOOKKEEPING.descriptor, bookkeeping.descriptor)
  writer.fixed(BOOKKEEPING.clock, bookkeeping.clock)
  writer.fixed(BOOKKEEPING.sessionFloor, bookkeeping.sessionFloor)
  writer.fixed(BOOKKEEPING.collectionFloor, bookkeeping.collectionFloor)
  writer.uint(BOOKKEEPING.rangeVersion, bookkeeping.rangeVersion)
  for (const { range, to } of bookkeeping.lineage) {
    writer.open(BOOKKEEPING.lineage)
    writer.uint(LINEAGE_PIECE.range, range)
    writer.fixed(LINEAGE_PIECE.to, to)
    writer.close()
  }
  writer.uint(BOOKKEEPING.digest, bookkeeping.digest)
  for (const { index, term } of bookkeeping.splits) {
    writer.open(BOOKKEEPING.splits)
    writer.uint(SPLIT_PLACE.index, index)
    writer.uint(SPLIT_PLACE.term, term)
    writer.close()
  }
  writer.close()
}

/** A message about a replica, between nodes; its range too. */
export function writePlacement(writer: Writer, message: PlacementMessage): void {
  if (message.type !== 'place') writer.uint(MESSAGE.range, message.range)
  switch (message.type) {
    case 'absent':
    case 'removed':
      writer.open(message.type === 'absent' ? MESSAGE.absent : MESSAGE.removed)
      writer.uint(ABOUT.replica, message.replica)
      break
    case 'place':
      writer.open(MESSAGE.place)
      writer.uint(PLACE.replica, message.replica)
      writeDescriptor(writer, PLACE.descriptor, message.descriptor)
      if (message.nonce !== null) writer.optionalUint(PLACE.nonce, message.nonce)
      break
    case 'vacant':
      writer.open(MESSAGE.vacant)
      writer.uint(VACANT.replica, message.replica)
      writer.uint(VACANT.nonce, message.nonce)
      break
  }
  writer.close()
}
