import { bytes, fixed64, varint } from './writer.js'

/** Fields of holdfast/peer/v1/peer.proto. */

export const HELLO = {
  cluster: bytes(1),
  info: bytes(2),
  boot: varint(3),
  to: varint(4),
  protocolLowest: varint(5),
  protocolHighest: varint(6),
  wallMs: varint(7),
  channel: varint(8),
  boots: bytes(9),
  rejoins: bytes(10),
  batches: bytes(11),
}
export const FRAME = { hello: bytes(1), wallMs: varint(2), messages: bytes(3), batch: varint(4) }
export const ANSWER = { hello: bytes(1) }
export const MESSAGE = {
  range: varint(1),
  from: varint(2),
  to: varint(3),
  term: varint(4),
  append: bytes(5),
  appendAccepted: bytes(6),
  appendRejected: bytes(7),
  heartbeat: bytes(8),
  heartbeatReply: bytes(9),
  preVote: bytes(10),
  preVoteReply: bytes(11),
  vote: bytes(12),
  voteReply: bytes(13),
  report: bytes(14),
  allocate: bytes(15),
  allocated: bytes(16),
  advance: bytes(17),
  fetchEntry: bytes(18),
  fetchedEntry: bytes(19),
  digest: bytes(20),
  snapshotOffer: bytes(21),
  snapshotPull: bytes(22),
  snapshotChunk: bytes(23),
  snapshotRefused: bytes(24),
  absent: bytes(25),
  removed: bytes(26),
  place: bytes(27),
  vacant: bytes(28),
  timeoutNow: bytes(29),
}
export const ENTRY = { index: varint(1), term: varint(2), timestamp: fixed64(3), kind: varint(4), payload: bytes(5) }
export const APPEND = {
  previousIndex: varint(1),
  previousTerm: varint(2),
  commit: varint(3),
  allPersisted: varint(4),
  entries: bytes(5),
}
export const APPEND_ACCEPTED = { matchIndex: varint(1) }
export const APPEND_REJECTED = {
  rejectedIndex: varint(1),
  hintIndex: varint(2),
  hintTerm: varint(3),
  needsSnapshot: varint(4),
}
export const HEARTBEAT = { commit: varint(1), allPersisted: varint(2), round: varint(3) }
export const HEARTBEAT_REPLY = { round: varint(1), lastIndex: varint(2), needsSnapshot: varint(3) }
export const VOTE = { lastIndex: varint(1), lastTerm: varint(2), transfer: varint(3) }
export const VOTE_REPLY = { granted: varint(1) }
export const REPORT = { descriptors: bytes(1), nodes: bytes(2) }
export const ALLOCATE = { request: varint(1), count: varint(2) }
export const ALLOCATED = { request: varint(1), first: varint(2) }
export const ADVANCE = { version: fixed64(1) }
export const FETCH_ENTRY = { index: varint(1), term: varint(2) }
export const FETCHED_ENTRY = { index: varint(1), entry: bytes(2) }
export const DIGEST = { index: varint(1), digest: varint(2) }
export const BOOKKEEPING = {
  descriptor: bytes(1),
  clock: fixed64(2),
  sessionFloor: fixed64(3),
  collectionFloor: fixed64(4),
  rangeVersion: varint(5),
  lineage: bytes(6),
  digest: varint(7),
  splits: bytes(8),
}
export const SPLIT_PLACE = { index: varint(1), term: varint(2) }
export const LINEAGE_PIECE = { range: varint(1), to: fixed64(2) }
export const SNAPSHOT_OFFER = {
  id: varint(1),
  index: varint(2),
  entryTerm: varint(3),
  timestamp: fixed64(4),
  bookkeeping: bytes(5),
}
export const SNAPSHOT_PULL = { id: varint(1), sequence: varint(2) }
export const SNAPSHOT_CHUNK = { id: varint(1), sequence: varint(2), last: varint(3), data: bytes(4) }
export const SNAPSHOT_REFUSED = { id: varint(1), reason: bytes(2) }
export const ABOUT = { replica: varint(1) }
export const PLACE = { replica: varint(1), descriptor: bytes(2), nonce: varint(3) }
export const VACANT = { replica: varint(1), nonce: varint(2) }
