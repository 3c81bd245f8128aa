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
}
export const FRAME = { hello: bytes(1), wallMs: varint(2), messages: bytes(3) }
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
export const APPEND_REJECTED = { rejectedIndex: varint(1), hintIndex: varint(2), hintTerm: varint(3) }
export const HEARTBEAT = { commit: varint(1), allPersisted: varint(2), round: varint(3) }
export const HEARTBEAT_REPLY = { round: varint(1), lastIndex: varint(2) }
export const VOTE = { lastIndex: varint(1), lastTerm: varint(2), transfer: varint(3) }
export const VOTE_REPLY = { granted: varint(1) }
export const REPORT = { descriptors: bytes(1), nodes: bytes(2) }
export const ALLOCATE = { request: varint(1), count: varint(2) }
export const ALLOCATED = { request: varint(1), first: varint(2) }
