import type { Descriptor, NodeInfo } from '../../base/descriptor.js'
import type { NodeId } from '../../base/ids.js'
import type { BirthDocument, JoinAnswer, JoinRequest, NodeIdentification } from '../peer-types.js'
import { encode } from './frames.js'
import { addressOf, clusterOf, idOf, readDescriptor, readNode, show, writeDescriptor, writeNode } from './nouns.js'
import { Reader, WireError } from './reader.js'
import { bytes, varint } from './writer.js'

const JOIN = { token: bytes(1), clientAddress: bytes(2), peerAddress: bytes(3), pid: varint(4) }
const JOIN_RESULT = { joined: bytes(1), redirect: bytes(2), notInitialised: varint(3) }
const JOINED = { cluster: bytes(1), node: varint(2), nodes: bytes(3) }
const BIRTH = { cluster: bytes(1), nodes: bytes(2), ranges: bytes(3), members: bytes(4) }
const MEMBER = { node: varint(1), token: bytes(2) }
const IDENTIFY = {
  token: bytes(1),
  cluster: bytes(2),
  node: varint(3),
  clientAddress: bytes(4),
  peerAddress: bytes(5),
  pid: varint(6),
  nodes: bytes(7),
}

const TOKEN_CHARACTERS_MAX = 200

function tokenOf(value: string): string {
  if (value.length === 0 || value.length > TOKEN_CHARACTERS_MAX) {
    throw new WireError(`a node's token is ${show(value)}, expected 1 to ${TOKEN_CHARACTERS_MAX} characters`)
  }
  return value
}

export function encodeJoin(request: JoinRequest): Buffer {
  return encode((writer) => {
    writer.utf8(JOIN.token, request.token)
    writer.utf8(JOIN.clientAddress, request.clientAddress)
    writer.utf8(JOIN.peerAddress, request.peerAddress)
    writer.uint(JOIN.pid, request.pid)
  })
}

export function decodeJoin(frame: Uint8Array): JoinRequest {
  const reader = new Reader(frame)
  let token = ''
  let clientAddress = ''
  let peerAddress = ''
  let pid = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === JOIN.token) token = reader.utf8()
    else if (tag === JOIN.clientAddress) clientAddress = reader.utf8()
    else if (tag === JOIN.peerAddress) peerAddress = reader.utf8()
    else if (tag === JOIN.pid) pid = reader.uint()
    else reader.skip()
  }
  return {
    token: tokenOf(token),
    clientAddress: addressOf(clientAddress, 'client address'),
    peerAddress: addressOf(peerAddress, 'peer address'),
    pid,
  }
}

export function encodeJoinAnswer(answer: JoinAnswer): Buffer {
  return encode((writer) => {
    if (answer.kind === 'redirect') return writer.utf8(JOIN_RESULT.redirect, answer.peerAddress)
    if (answer.kind === 'notInitialised') return writer.flag(JOIN_RESULT.notInitialised, true)
    writer.open(JOIN_RESULT.joined)
    writer.utf8(JOINED.cluster, answer.cluster)
    writer.uint(JOINED.node, answer.node)
    for (const node of answer.nodes) writeNode(writer, JOINED.nodes, node)
    writer.close()
  })
}

export function decodeJoinAnswer(frame: Uint8Array): JoinAnswer {
  const reader = new Reader(frame)
  let answer: JoinAnswer | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === JOIN_RESULT.joined) answer = readJoined(reader)
    else if (tag === JOIN_RESULT.redirect) {
      answer = { kind: 'redirect', peerAddress: addressOf(reader.utf8(), 'peer address') }
    } else if (tag === JOIN_RESULT.notInitialised) answer = reader.flag() ? { kind: 'notInitialised' } : answer
    else reader.skip()
  }
  if (answer === null) throw new WireError('the kind of the answer is missing or not known')
  return answer
}

function readJoined(reader: Reader): JoinAnswer {
  const outer = reader.enter()
  let cluster = ''
  let node = 0
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === JOINED.cluster) cluster = reader.utf8()
    else if (tag === JOINED.node) node = reader.uint()
    else if (tag === JOINED.nodes) nodes.push(readNode(reader))
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'joined', cluster: clusterOf(cluster), node: idOf<NodeId>(node, 'node id'), nodes }
}

export function encodeBirth(document: BirthDocument): Buffer {
  return encode((writer) => {
    writer.utf8(BIRTH.cluster, document.cluster)
    for (const node of document.nodes) writeNode(writer, BIRTH.nodes, node)
    for (const range of document.ranges) writeDescriptor(writer, BIRTH.ranges, range)
    for (const { node, token } of document.tokens) {
      writer.open(BIRTH.members)
      writer.uint(MEMBER.node, node)
      writer.utf8(MEMBER.token, token)
      writer.close()
    }
  })
}

export function decodeBirth(frame: Uint8Array): BirthDocument {
  const reader = new Reader(frame)
  let cluster = ''
  const nodes: NodeInfo[] = []
  const ranges: Descriptor[] = []
  const tokens: { node: NodeId; token: string }[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === BIRTH.cluster) cluster = reader.utf8()
    else if (tag === BIRTH.nodes) nodes.push(readNode(reader))
    else if (tag === BIRTH.ranges) ranges.push(readDescriptor(reader))
    else if (tag === BIRTH.members) tokens.push(readMember(reader))
    else reader.skip()
  }
  if (nodes.length === 0) throw new WireError('a birth document names no nodes')
  if (ranges.length === 0) throw new WireError('a birth document names no ranges')
  return { cluster: clusterOf(cluster), nodes, ranges, tokens }
}

function readMember(reader: Reader): { node: NodeId; token: string } {
  const outer = reader.enter()
  let node = 0
  let token = ''
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === MEMBER.node) node = reader.uint()
    else if (tag === MEMBER.token) token = reader.utf8()
    else reader.skip()
  }
  reader.leave(outer)
  return { node: idOf<NodeId>(node, 'node id'), token: tokenOf(token) }
}

export function encodeIdentification(found: NodeIdentification): Buffer {
  return encode((writer) => {
    writer.utf8(IDENTIFY.token, found.token)
    if (found.cluster !== null) writer.utf8(IDENTIFY.cluster, found.cluster)
    writer.uint(IDENTIFY.node, found.node ?? 0)
    writer.utf8(IDENTIFY.clientAddress, found.clientAddress)
    writer.utf8(IDENTIFY.peerAddress, found.peerAddress)
    writer.uint(IDENTIFY.pid, found.pid)
    for (const node of found.nodes) writeNode(writer, IDENTIFY.nodes, node)
  })
}

export function decodeIdentification(frame: Uint8Array): NodeIdentification {
  const reader = new Reader(frame)
  let token = ''
  let cluster = ''
  let node = 0
  let clientAddress = ''
  let peerAddress = ''
  let pid = 0
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === IDENTIFY.token) token = reader.utf8()
    else if (tag === IDENTIFY.cluster) cluster = reader.utf8()
    else if (tag === IDENTIFY.node) node = reader.uint()
    else if (tag === IDENTIFY.clientAddress) clientAddress = reader.utf8()
    else if (tag === IDENTIFY.peerAddress) peerAddress = reader.utf8()
    else if (tag === IDENTIFY.pid) pid = reader.uint()
    else if (tag === IDENTIFY.nodes) nodes.push(readNode(reader))
    else reader.skip()
  }
  return {
    token: tokenOf(token),
    cluster: cluster === '' ? null : clusterOf(cluster),
    node: node === 0 ? null : (node as NodeId),
    clientAddress: addressOf(clientAddress, 'client address'),
    peerAddress: addressOf(peerAddress, 'peer address'),
    pid,
    nodes,
  }
}
