import type { Descriptor } from '../../base/descriptor.js'
import type { LogIndex, RangeId, ReplicaId, Term, Version } from '../../base/ids.js'
import type { Bookkeeping, LineagePiece, SplitPlace } from '../../kv/types.js'
import type { Entry } from '../../raft/types.js'
import type { PlaceMessage, PlacementMessage, ReplicaMessage, SnapshotOfferMessage } from '../../store/ports.js'
import { readEntry } from './entries.js'
import { idOf, readDescriptor, readNumbers } from './nouns.js'
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
import { type Reader, WireError } from './reader.js'

type Without<Kind, Fields extends string> = Kind extends unknown ? Omit<Kind, Fields> : never
/** Without what the envelope says: of the term of an offer it does, of the term of a fetched entry it does not. */
export type BetweenBody =
  | Without<Exclude<ReplicaMessage, SnapshotOfferMessage>, 'range' | 'from' | 'to'>
  | Omit<SnapshotOfferMessage, 'range' | 'from' | 'to' | 'term'>
export type PlacementBody = PlaceMessage | Without<Exclude<PlacementMessage, PlaceMessage>, 'range'>

const REASON_CHARACTERS_MAX = 500
/** A piece for every split and merge as far back as the journal is kept. */
const LINEAGE_MAX = 10_000
const SPLITS_MAX = 1_000

/** null: it is no message of these, and nothing was read. */
export function readReplicaBody(reader: Reader, tag: number): BetweenBody | PlacementBody | null {
  switch (tag) {
    case MESSAGE.advance:
      return readAdvance(reader)
    case MESSAGE.fetchEntry: {
      const [index = 0, term = 0] = readNumbers(reader, [FETCH_ENTRY.index, FETCH_ENTRY.term])
      if (term < 1) throw new WireError(`entry ${index} is asked for with term ${term}, expected 1 or more`)
      return { type: 'fetchEntry', index: idOf<LogIndex>(index, 'entry index'), term: term as Term }
    }
    case MESSAGE.fetchedEntry:
      return readFetched(reader)
    case MESSAGE.digest: {
      const [index = 0, digest = 0] = readNumbers(reader, [DIGEST.index, DIGEST.digest])
      return { type: 'digest', index: idOf<LogIndex>(index, 'entry index'), digest }
    }
    case MESSAGE.snapshotOffer:
      return readOffer(reader)
    case MESSAGE.snapshotPull: {
      const [id = 0, sequence = 0] = readNumbers(reader, [SNAPSHOT_PULL.id, SNAPSHOT_PULL.sequence])
      return { type: 'snapshotPull', id, sequence: sequenceOf(sequence) }
    }
    case MESSAGE.snapshotChunk:
      return readChunk(reader)
    case MESSAGE.snapshotRefused:
      return readRefused(reader)
    case MESSAGE.absent:
    case MESSAGE.removed: {
      const [replica = 0] = readNumbers(reader, [ABOUT.replica])
      return { type: tag === MESSAGE.absent ? 'absent' : 'removed', replica: replicaOf(replica) }
    }
    case MESSAGE.place:
      return readPlace(reader)
    case MESSAGE.vacant: {
      const [replica = 0, nonce = 0] = readNumbers(reader, [VACANT.replica, VACANT.nonce])
      return { type: 'vacant', replica: replicaOf(replica), nonce }
    }
    default:
      return null
  }
}

const replicaOf = (value: number): ReplicaId => idOf<ReplicaId>(value, 'replica id')

function sequenceOf(value: number): number {
  if (value < 1) throw new WireError(`a chunk has sequence ${value}, expected 1 or more`)
  return value
}

function readAdvance(reader: Reader): BetweenBody {
  const outer = reader.enter()
  let version = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ADVANCE.version) version = reader.fixed()
    else reader.skip()
  }
  reader.leave(outer)
  return { type: 'advance', version: version as Version }
}

function readFetched(reader: Reader): BetweenBody {
  const outer = reader.enter()
  let index = 0
  let entry: Entry | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === FETCHED_ENTRY.index) index = reader.uint()
    else if (tag === FETCHED_ENTRY.entry) entry = readEntry(reader)
    else reader.skip()
  }
  reader.leave(outer)
  if (entry !== null && entry.index !== index) {
    throw new WireError(`entry ${entry.index} came where ${index} was named`)
  }
  return { type: 'fetchedEntry', index: idOf<LogIndex>(index, 'entry index'), entry }
}

function readOffer(reader: Reader): BetweenBody {
  const outer = reader.enter()
  const numbers = { id: 0, index: 0, entryTerm: 0, timestamp: 0 }
  let bookkeeping: Bookkeeping | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SNAPSHOT_OFFER.id) numbers.id = reader.uint()
    else if (tag === SNAPSHOT_OFFER.index) numbers.index = reader.uint()
    else if (tag === SNAPSHOT_OFFER.entryTerm) numbers.entryTerm = reader.uint()
    else if (tag === SNAPSHOT_OFFER.timestamp) numbers.timestamp = reader.fixed()
    else if (tag === SNAPSHOT_OFFER.bookkeeping) bookkeeping = readBookkeeping(reader)
    else reader.skip()
  }
  reader.leave(outer)
  const { id, index, entryTerm, timestamp } = numbers
  if (bookkeeping === null) throw new WireError('a snapshot says nothing of its range')
  if (entryTerm < 1) throw new WireError(`a snapshot ends at term ${entryTerm}, expected 1 or more`)
  return {
    type: 'snapshotOffer',
    id,
    index: idOf<LogIndex>(index, 'snapshot index'),
    entryTerm: entryTerm as Term,
    timestamp: timestamp as Version,
    bookkeeping,
  }
}

function readBookkeeping(reader: Reader): Bookkeeping {
  const outer = reader.enter()
  let descriptor: Descriptor | null = null
  const numbers = { clock: 0, sessionFloor: 0, collectionFloor: 0, rangeVersion: 0, digest: 0 }
  const lineage: LineagePiece[] = []
  const splits: SplitPlace[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === BOOKKEEPING.descriptor) descriptor = readDescriptor(reader)
    else if (tag === BOOKKEEPING.clock) numbers.clock = reader.fixed()
    else if (tag === BOOKKEEPING.sessionFloor) numbers.sessionFloor = reader.fixed()
    else if (tag === BOOKKEEPING.collectionFloor) numbers.collectionFloor = reader.fixed()
    else if (tag === BOOKKEEPING.rangeVersion) numbers.rangeVersion = reader.uint()
    else if (tag === BOOKKEEPING.lineage) lineage.push(readLineagePiece(reader))
    else if (tag === BOOKKEEPING.digest) numbers.digest = reader.uint()
    else if (tag === BOOKKEEPING.splits) splits.push(readSplitPlace(reader))
    else reader.skip()
  }
  reader.leave(outer)
  if (descriptor === null) throw new WireError("a range's bookkeeping has no descriptor")
  if (lineage.length > LINEAGE_MAX)
    throw new WireError(`${lineage.length} pieces of lineage, expected ${LINEAGE_MAX} at most`)
  if (splits.length > SPLITS_MAX)
    throw new WireError(`${splits.length} places of splits, expected ${SPLITS_MAX} at most`)
  return {
    descriptor,
    clock: numbers.clock as Version,
    sessionFloor: numbers.sessionFloor as Version,
    collectionFloor: numbers.collectionFloor as Version,
    rangeVersion: numbers.rangeVersion,
    lineage,
    splits,
    digest: numbers.digest,
  }
}

function readLineagePiece(reader: Reader): LineagePiece {
  const outer = reader.enter()
  let range = 0
  let to = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === LINEAGE_PIECE.range) range = reader.uint()
    else if (tag === LINEAGE_PIECE.to) to = reader.fixed()
    else reader.skip()
  }
  reader.leave(outer)
  return { range: idOf<RangeId>(range, 'range id'), to: to as Version }
}

function readSplitPlace(reader: Reader): SplitPlace {
  const outer = reader.enter()
  let index = 0
  let term = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SPLIT_PLACE.index) index = reader.uint()
    else if (tag === SPLIT_PLACE.term) term = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { index: idOf<LogIndex>(index, 'index of a split'), term: idOf<Term>(term, 'term of a split') }
}

function readChunk(reader: Reader): BetweenBody {
  const outer = reader.enter()
  let id = 0
  let sequence = 0
  let last = false
  let data: Uint8Array = EMPTY
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SNAPSHOT_CHUNK.id) id = reader.uint()
    else if (tag === SNAPSHOT_CHUNK.sequence) sequence = reader.uint()
    else if (tag === SNAPSHOT_CHUNK.last) last = reader.flag()
    else if (tag === SNAPSHOT_CHUNK.data) data = reader.view()
    else reader.skip()
  }
  reader.leave(outer)
  return { type: 'snapshotChunk', id, sequence: sequenceOf(sequence), last, bytes: data }
}

function readRefused(reader: Reader): BetweenBody {
  const outer = reader.enter()
  let id = 0
  let reason = ''
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SNAPSHOT_REFUSED.id) id = reader.uint()
    else if (tag === SNAPSHOT_REFUSED.reason) reason = reader.utf8()
    else reader.skip()
  }
  reader.leave(outer)
  return { type: 'snapshotRefused', id, reason: reason.slice(0, REASON_CHARACTERS_MAX) }
}

function readPlace(reader: Reader): PlaceMessage {
  const outer = reader.enter()
  let replica = 0
  let descriptor: Descriptor | null = null
  let nonce: number | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === PLACE.replica) replica = reader.uint()
    else if (tag === PLACE.descriptor) descriptor = readDescriptor(reader)
    else if (tag === PLACE.nonce) nonce = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  if (descriptor === null) throw new WireError('a placement has no descriptor')
  return { type: 'place', replica: replicaOf(replica), descriptor, nonce }
}

const EMPTY = new Uint8Array(0)
