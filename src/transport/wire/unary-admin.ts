import type { NodeInfo } from '../../base/descriptor.js'
import type { ClusterId, Key, NodeId, RangeId } from '../../base/ids.js'
import type { NodeStatus } from '../../kv/requests.js'
import type { UnaryTransfer } from '../unary.js'
import { encode } from './frames.js'
import { clusterOf, idOf, readNode, writeNode } from './nouns.js'
import { Reader } from './reader.js'
import { writeStatus } from './status.js'
import { bytes, varint, type Writer } from './writer.js'

/** Calls and results of service Admin in holdfast/v1/holdfast.proto. */

const INIT = { replicas: varint(1), splitAt: bytes(2) }
const INIT_RESULT = { cluster: bytes(1), nodes: bytes(2) }
const SPLIT_RESULT = { range: varint(1) }
const TRANSFER = { range: varint(1), node: varint(2) }
const STATUS_RESULT = { status: bytes(1) }

/** What a cluster is to begin with. */
export interface InitRequest {
  /** Replicas of every range; null: 3, or as many as there are nodes. */
  readonly replicas: number | null
  /** Where the data is cut into ranges from the start. */
  readonly splitAt: readonly Key[]
}

export function encodeInit(request: InitRequest): Buffer {
  return encode((writer) => {
    if (request.replicas !== null) writer.optionalUint(INIT.replicas, request.replicas)
    for (const key of request.splitAt) writer.latin1(INIT.splitAt, key)
  })
}

export function decodeInit(frame: Uint8Array): InitRequest {
  const reader = new Reader(frame)
  let replicas: number | null = null
  const splitAt: Key[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === INIT.replicas) replicas = reader.uint()
    else if (tag === INIT.splitAt) splitAt.push(reader.latin1() as Key)
    else reader.skip()
  }
  return { replicas, splitAt }
}

export function writeInitResult(writer: Writer, born: { cluster: string; nodes: readonly NodeInfo[] }): void {
  writer.utf8(INIT_RESULT.cluster, born.cluster)
  for (const node of born.nodes) writeNode(writer, INIT_RESULT.nodes, node)
}

export function decodeInitResult(frame: Uint8Array): { cluster: ClusterId; nodes: readonly NodeInfo[] } {
  const reader = new Reader(frame)
  let cluster = ''
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === INIT_RESULT.cluster) cluster = reader.utf8()
    else if (tag === INIT_RESULT.nodes) nodes.push(readNode(reader))
    else reader.skip()
  }
  return { cluster: clusterOf(cluster), nodes }
}

export function writeSplitResult(writer: Writer, result: { range: RangeId }): void {
  writer.uint(SPLIT_RESULT.range, result.range)
}

export function decodeTransfer(frame: Uint8Array): UnaryTransfer {
  const reader = new Reader(frame)
  let range = 0
  let node = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === TRANSFER.range) range = reader.uint()
    else if (tag === TRANSFER.node) node = reader.uint()
    else reader.skip()
  }
  return { range: idOf<RangeId>(range, 'range id'), to: idOf<NodeId>(node, 'node id') }
}

export function writeStatusResult(writer: Writer, status: NodeStatus): void {
  writeStatus(writer, STATUS_RESULT.status, status)
}
