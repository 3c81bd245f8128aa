import type { Entry, Message } from '../../raft/types.js'
import type { PeerMessage } from '../../store/ports.js'
import { writeEntry } from './entries.js'
import { encode, encodeFrames } from './frames.js'
import { writeDescriptor, writeNode } from './nouns.js'
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
import { writePlacement, writeReplicaKind } from './replica-encoder.js'
import type { Writer } from './writer.js'

/** What every frame says of its sender. */
export interface FrameHeader {
  readonly wallMs: number
  /** Of its log: all up to this one is synced. */
  readonly batch: number
}

export function encodePeerMessages(messages: readonly PeerMessage[], header: FrameHeader): Buffer[] {
  return encodeFrames(messages, writeMessage, (writer) => writeHeader(writer, header))
}

export function encodePeerHeartbeat(header: FrameHeader): Buffer {
  return encode((writer) => writeHeader(writer, header))
}

function writeHeader(writer: Writer, { wallMs, batch }: FrameHeader): void {
  writer.uint(FRAME.wallMs, Math.floor(wallMs))
  writer.uint(FRAME.batch, batch)
}

function writeMessage(writer: Writer, message: PeerMessage): void {
  writer.open(FRAME.messages, expectedMessageBytes(message))
  switch (message.type) {
    case 'report':
      writer.open(MESSAGE.report)
      for (const descriptor of message.descriptors) writeDescriptor(writer, REPORT.descriptors, descriptor)
      for (const node of message.nodes) writeNode(writer, REPORT.nodes, node)
      writer.close()
      break
    case 'allocate':
      writer.open(MESSAGE.allocate)
      writer.uint(ALLOCATE.request, message.request)
      writer.uint(ALLOCATE.count, message.count)
      writer.close()
      break
    case 'allocated':
      writer.open(MESSAGE.allocated)
      writer.uint(ALLOCATED.request, message.request)
      if (message.first !== null) writer.optionalUint(ALLOCATED.first, message.first)
      writer.close()
      break
    case 'absent':
    case 'removed':
    case 'place':
    case 'vacant':
      writePlacement(writer, message)
      break
    case 'advance':
    case 'fetchEntry':
    case 'fetchedEntry':
    case 'digest':
    case 'snapshotOffer':
    case 'snapshotPull':
    case 'snapshotChunk':
    case 'snapshotRefused':
      writer.uint(MESSAGE.range, message.range)
      writer.uint(MESSAGE.from, message.from)
      writer.uint(MESSAGE.to, message.to)
      if (message.type === 'snapshotOffer') writer.uint(MESSAGE.term, message.term)
      writeReplicaKind(writer, message)
      break
    default:
      writer.uint(MESSAGE.range, message.range)
      writer.uint(MESSAGE.from, message.from)
      writer.uint(MESSAGE.to, message.to)
      writer.uint(MESSAGE.term, message.term)
      writeKind(writer, message)
  }
  writer.close()
}

function writeKind(writer: Writer, message: Message): void {
  switch (message.type) {
    case 'append':
      writer.open(MESSAGE.append, expectedBytes(message.entries))
      writer.uint(APPEND.previousIndex, message.previousIndex)
      writer.uint(APPEND.previousTerm, message.previousTerm)
      writer.uint(APPEND.commit, message.commit)
      writer.uint(APPEND.allPersisted, message.allPersisted)
      for (const entry of message.entries) writeEntry(writer, APPEND.entries, entry)
      break
    case 'appendAccepted':
      writer.open(MESSAGE.appendAccepted)
      writer.uint(APPEND_ACCEPTED.matchIndex, message.matchIndex)
      break
    case 'appendRejected':
      writer.open(MESSAGE.appendRejected)
      writer.uint(APPEND_REJECTED.rejectedIndex, message.rejectedIndex)
      writer.uint(APPEND_REJECTED.hintIndex, message.hintIndex)
      writer.uint(APPEND_REJECTED.hintTerm, message.hintTerm)
      writer.flag(APPEND_REJECTED.needsSnapshot, message.needsSnapshot)
      break
    case 'heartbeat':
      writer.open(MESSAGE.heartbeat)
      writer.uint(HEARTBEAT.commit, message.commit)
      writer.uint(HEARTBEAT.allPersisted, message.allPersisted)
      writer.uint(HEARTBEAT.round, message.round)
      break
    case 'heartbeatReply':
      writer.open(MESSAGE.heartbeatReply)
      writer.uint(HEARTBEAT_REPLY.round, message.round)
      writer.uint(HEARTBEAT_REPLY.lastIndex, message.lastIndex)
      writer.flag(HEARTBEAT_REPLY.needsSnapshot, message.needsSnapshot)
      break
    case 'timeoutNow':
      writer.open(MESSAGE.timeoutNow)
      break
    case 'preVote':
    case 'vote':
      writer.open(message.type === 'vote' ? MESSAGE.vote : MESSAGE.preVote)
      writer.uint(VOTE.lastIndex, message.lastIndex)
      writer.uint(VOTE.lastTerm, message.lastTerm)
      if (message.type === 'vote') writer.flag(VOTE.transfer, message.transfer)
      break
    case 'preVoteReply':
    case 'voteReply':
      writer.open(message.type === 'voteReply' ? MESSAGE.voteReply : MESSAGE.preVoteReply)
      writer.flag(VOTE_REPLY.granted, message.granted)
      break
  }
  writer.close()
}

function expectedMessageBytes(message: PeerMessage): number {
  if (message.type === 'append') return expectedBytes(message.entries)
  return message.type === 'snapshotChunk' ? message.bytes.length + 64 : 0
}

/** Good enough to reserve the right number of bytes for the length. */
function expectedBytes(entries: readonly Entry[]): number {
  let bytes = 24
  for (const entry of entries) bytes += entry.payload.length + 28
  return bytes
}
