import type { Descriptor, NodeInfo, Span } from '../base/descriptor.js'
import type { Key, NodeId } from '../base/ids.js'
import { KEYSPACES, storedKey } from '../base/keyspace.js'

/**
 * What the meta range stores: descriptors by end key (so that the range of a key is the first one that ends behind it),
 * nodes by id, the counters that ids come from, and the ids given to joining nodes by token. Values are JSON in ASCII:
 * keys are binary strings, and a byte above 126 is written as an escape.
 */
export const DESCRIPTOR_SPAN: Span = { start: metaKey('d'), end: metaKey('e') }
export const NODE_SPAN: Span = { start: metaKey('n'), end: metaKey('o') }

export type Counter = 'range' | 'node'

/** null sorts behind every key. */
export function descriptorKey(end: Key | null): Key {
  return metaKey(end === null ? 'd\x01' : `d\0${end}`)
}

export function nodeKey(node: NodeId): Key {
  return metaKey(
    `n${String.fromCharCode((node >>> 24) & 0xff, (node >>> 16) & 0xff, (node >>> 8) & 0xff, node & 0xff)}`,
  )
}

export function counterKey(counter: Counter): Key {
  return metaKey(`c${counter}`)
}

/** `token` may be any string: it is escaped like a value. */
export function tokenKey(counter: Counter, token: string): Key {
  return metaKey(`t${counter}\0${asciiJson(token)}`)
}

export function encodeMeta(value: Descriptor | NodeInfo | number): Uint8Array {
  const ascii = asciiJson(value)
  const bytes = new Uint8Array(ascii.length)
  for (let at = 0; at < ascii.length; at += 1) bytes[at] = ascii.charCodeAt(at)
  return bytes
}

export function decodeDescriptor(value: Uint8Array): Descriptor {
  return decode(value) as Descriptor
}

export function decodeNode(value: Uint8Array): NodeInfo {
  return decode(value) as NodeInfo
}

/** A counter's next id, or the id that a token got. */
export function decodeId(value: Uint8Array): number {
  return decode(value) as number
}

function metaKey(bytes: string): Key {
  return storedKey(KEYSPACES.meta, bytes)
}

/** Members are named one by one, so that equal things have equal bytes on all replicas, in whatever order they were made. */
function asciiJson(value: Descriptor | NodeInfo | number | string): string {
  const json = JSON.stringify(typeof value === 'object' ? ordered(value) : value)
  return json.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function ordered(value: Descriptor | NodeInfo): Descriptor | NodeInfo {
  if ('peerAddress' in value) {
    const { node, clientAddress, peerAddress, pid } = value
    return { node, clientAddress, peerAddress, pid }
  }
  const { range, span, generation, epoch, nextReplica } = value
  const replicas = value.replicas.map(({ replica, node, role }) => ({ replica, node, role }))
  return { range, span: { start: span.start, end: span.end }, generation, epoch, replicas, nextReplica }
}

function decode(value: Uint8Array): unknown {
  let ascii = ''
  for (let at = 0; at < value.length; at += 1) ascii += String.fromCharCode(value[at]!)
  return JSON.parse(ascii)
}
