import type { Descriptor, NodeInfo } from '../../base/descriptor.js'
import type { BootId, LogIndex, RangeId, ReplicaId, Term } from '../../base/ids.js'
import type { Append, Entry, Message } from '../../raft/types.js'
import type { AllocatedMessage, AllocateMessage, PeerMessage, PlaceMessage, ReportMessage } from '../../store/ports.js'
import { readEntry } from './entries.js'
import { idOf, readDescriptor, readNode, readNumbers } from './nouns.js'
import type { FrameHeader } from './peer-encoder.js'
import {
  ALLOCATE,
  ALLOCATED,
  APPEND,
  APPEND_ACCEPTED,
  APPEND_REJECTED,
  FRAME,
  HEARTBEAT,
  HEARTBEAT_REPLY,
  MESSAGE,
  REPORT,
  VOTE,
  VOTE_REPLY,
} from './peer-tags.js'
import { Reader, WireError } from './reader.js'
import { type BetweenBody, type PlacementBody, readReplicaBody } from './replica-decoder.js'

/** A frame after the handshake; `boot` is the one that the sender named there. Throws WireError. */
export function decodePeerFrame(frame: Uint8Array, boot: BootId): FrameHeader & { messages: PeerMessage[] } {
  const reader = new Reader(frame)
  let wallMs = 0
  let batch = 0
  const messages: PeerMessage[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === FRAME.messages) messages.push(readMessage(reader, boot))
    else if (tag === FRAME.wallMs) wallMs = reader.uint()
    else if (tag === FRAME.batch) batch = reader.uint()
    else reader.skip()
  }
  return { wallMs, batch, messages }
}

function readMessage(reader: Reader, boot: BootId): PeerMessage {
  const outer = reader.enter()
  let range = 0
  let from = 0
  let to = 0
  let term = 0
  let body: Body | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === MESSAGE.range) range = reader.uint()
    else if (tag === MESSAGE.from) from = reader.uint()
    else if (tag === MESSAGE.to) to = reader.uint()
    else if (tag === MESSAGE.term) term = reader.uint()
    else body = readBody(reader, tag) ?? body
  }
  reader.leave(outer)
  if (body === null) throw new WireError('the kind of a message is missing or not known')
  if (isNodes(body)) return body
  const of = idOf<RangeId>(range, 'range id')
  if (isAbout(body)) return { ...body, range: of }
  const between = {
    range: of,
    from: idOf<ReplicaId>(from, 'sending replica id'),
    to: idOf<ReplicaId>(to, 'receiving replica id'),
  }
  if (body.type === 'snapshotOffer') return { ...body, ...between, term: term as Term }
  if (isBetween(body)) return { ...body, ...between }
  return { ...body, ...between, boot, term: term as Term }
}

type NodesMessage = ReportMessage | AllocateMessage | AllocatedMessage | PlaceMessage
type AboutBody = Exclude<PlacementBody, PlaceMessage>
type PlainBetween = Exclude<BetweenBody, { type: 'snapshotOffer' }>

const nodesTypes: readonly string[] = ['report', 'allocate', 'allocated', 'place'] satisfies NodesMessage['type'][]
const aboutTypes: readonly string[] = ['absent', 'removed', 'vacant'] satisfies AboutBody['type'][]
const betweenTypes: readonly string[] = [
  'advance',
  'fetchEntry',
  'fetchedEntry',
  'digest',
  'snapshotPull',
  'snapshotChunk',
  'snapshotRefused',
] satisfies PlainBetween['type'][]

const isNodes = (body: Body): body is NodesMessage => nodesTypes.includes(body.type)
const isAbout = (body: Body): body is AboutBody => aboutTypes.includes(body.type)
const isBetween = (body: Body): body is PlainBetween => betweenTypes.includes(body.type)

type Without<Kind, Fields extends string> = Kind extends Message ? Omit<Kind, Fields> : never
type RaftBody = Without<Message, 'range' | 'from' | 'to' | 'boot' | 'term'>
/** A message without its envelope. */
type Body = RaftBody | BetweenBody | PlacementBody | ReportMessage | AllocateMessage | AllocatedMessage

function readBody(reader: Reader, tag: number): Body | null {
  switch (tag) {
    case MESSAGE.append:
      return readAppend(reader)
    case MESSAGE.appendAccepted: {
      const [matchIndex] = readNumbers(reader, [APPEND_ACCEPTED.matchIndex])
      return { type: 'appendAccepted', matchIndex: matchIndex as LogIndex }
    }
    case MESSAGE.appendRejected: {
      const { rejectedIndex, hintIndex, hintTerm, needsSnapshot } = APPEND_REJECTED
      const [rejected, index, hint, needs] = readNumbers(reader, [rejectedIndex, hintIndex, hintTerm, needsSnapshot])
      return {
        type: 'appendRejected',
        rejectedIndex: rejected as LogIndex,
        hintIndex: index as LogIndex,
        hintTerm: hint as Term,
        needsSnapshot: needs !== 0,
      }
    }
    case MESSAGE.heartbeat: {
      const fields = [HEARTBEAT.commit, HEARTBEAT.allPersisted, HEARTBEAT.round]
      const [commit, allPersisted, round = 0] = readNumbers(reader, fields)
      return { type: 'heartbeat', commit: commit as LogIndex, allPersisted: allPersisted as LogIndex, round }
    }
    case MESSAGE.heartbeatReply: {
      const fields = [HEARTBEAT_REPLY.round, HEARTBEAT_REPLY.lastIndex, HEARTBEAT_REPLY.needsSnapshot]
      const [round = 0, lastIndex, needs] = readNumbers(reader, fields)
      return { type: 'heartbeatReply', round, lastIndex: lastIndex as LogIndex, needsSnapshot: needs !== 0 }
    }
    case MESSAGE.timeoutNow:
      readNumbers(reader, [])
      return { type: 'timeoutNow' }
    case MESSAGE.preVote:
      return { type: 'preVote', ...readPlace(readNumbers(reader, [VOTE.lastIndex, VOTE.lastTerm])) }
    case MESSAGE.vote: {
      const numbers = readNumbers(reader, [VOTE.lastIndex, VOTE.lastTerm, VOTE.transfer])
      return { type: 'vote', ...readPlace(numbers), transfer: numbers[2] !== 0 }
    }
    case MESSAGE.preVoteReply:
      return { type: 'preVoteReply', granted: readNumbers(reader, [VOTE_REPLY.granted])[0] !== 0 }
    case MESSAGE.voteReply:
      return { type: 'voteReply', granted: readNumbers(reader, [VOTE_REPLY.granted])[0] !== 0 }
    case MESSAGE.report:
      return readReport(reader)
    case MESSAGE.allocate: {
      const [request = 0, count = 0] = readNumbers(reader, [ALLOCATE.request, ALLOCATE.count])
      return { type: 'allocate', request, count } satisfies AllocateMessage
    }
    case MESSAGE.allocated:
      return readAllocated(reader)
    default: {
      const body = readReplicaBody(reader, tag)
      if (body === null) reader.skip()
      return body
    }
  }
}

function readPlace(numbers: readonly number[]): { lastIndex: LogIndex; lastTerm: Term } {
  return { lastIndex: (numbers[0] ?? 0) as LogIndex, lastTerm: (numbers[1] ?? 0) as Term }
}

function readAppend(reader: Reader): Body {
  const outer = reader.enter()
  let previousIndex = 0
  let previousTerm = 0
  let commit = 0
  let allPersisted = 0
  const entries: Entry[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === APPEND.previousIndex) previousIndex = reader.uint()
    else if (tag === APPEND.previousTerm) previousTerm = reader.uint()
    else if (tag === APPEND.commit) commit = reader.uint()
    else if (tag === APPEND.allPersisted) allPersisted = reader.uint()
    else if (tag === APPEND.entries) entries.push(readEntry(reader))
    else reader.skip()
  }
  reader.leave(outer)
  let expected = previousIndex + 1
  for (const { index } of entries) {
    if (index !== expected) throw new WireError(`an append has entry ${index}, expected ${expected}`)
    expected++
  }
  return {
    type: 'append',
    previousIndex: previousIndex as LogIndex,
    previousTerm: previousTerm as Term,
    entries,
    commit: commit as LogIndex,
    allPersisted: allPersisted as LogIndex,
  } satisfies Omit<Append, 'range' | 'from' | 'to' | 'boot' | 'term'>
}

function readReport(reader: Reader): ReportMessage {
  const outer = reader.enter()
  const descriptors: Descriptor[] = []
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === REPORT.descriptors) descriptors.push(readDescriptor(reader))
    else if (tag === REPORT.nodes) nodes.push(readNode(reader))
    else reader.skip()
  }
  reader.leave(outer)
  return { type: 'report', descriptors, nodes }
}

function readAllocated(reader: Reader): AllocatedMessage {
  const outer = reader.enter()
  let request = 0
  let first: number | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ALLOCATED.request) request = reader.uint()
    else if (tag === ALLOCATED.first) first = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { type: 'allocated', request, first }
}
