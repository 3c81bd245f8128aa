import { assert } from './assert.js'
import type { Span } from './descriptor.js'
import type { Key } from './ids.js'

/** Ids of the key spaces. Below 16: the system's own; from 16 on: data. Part of every stored key, so never renumbered. */
export const KEYSPACES = { meta: 1, raw: 16, tuple: 17 } as const

const ID_BYTES = 4
const FIRST_DATA_KEYSPACE = 16

const prefixes = new Map(Object.values(KEYSPACES).map((id) => [id as number, bigEndian(id)]))

/** The stored form of `bytes` (a binary string) in a key space. Sorts by key space first, then by byte order. */
export function storedKey(keyspace: number, bytes: string): Key {
  return (prefix(keyspace) + bytes) as Key
}

/** The inverse of `storedKey`. A stored key has at least the four bytes of its key space. */
export function splitStoredKey(key: Key): { keyspace: number; bytes: string } {
  assert(key.length >= ID_BYTES, 'a stored key begins with its key space', key.length)
  let keyspace = 0
  for (let at = 0; at < ID_BYTES; at += 1) keyspace = keyspace * 256 + key.charCodeAt(at)
  return { keyspace, bytes: key.slice(ID_BYTES) }
}

/** Every stored key of one key space. */
export function keyspaceSpan(keyspace: number): Span {
  return { start: storedKey(keyspace, ''), end: storedKey(keyspace + 1, '') }
}

/** What the meta range holds: all system key spaces. */
export const META_SPAN: Span = { start: '' as Key, end: storedKey(FIRST_DATA_KEYSPACE, '') }

/** What the data ranges share. */
export const DATA_SPAN: Span = { start: storedKey(FIRST_DATA_KEYSPACE, ''), end: null }

function prefix(keyspace: number): string {
  const known = prefixes.get(keyspace)
  if (known !== undefined) return known
  assert(Number.isInteger(keyspace) && keyspace >= 0 && keyspace < 2 ** 32, 'a key space id has 32 bits', keyspace)
  return bigEndian(keyspace)
}

function bigEndian(id: number): string {
  return String.fromCharCode((id >>> 24) & 0xff, (id >>> 16) & 0xff, (id >>> 8) & 0xff, id & 0xff)
}
