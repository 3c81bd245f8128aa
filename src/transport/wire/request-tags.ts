import { bytes, fixed64, varint } from './writer.js'

/** Fields of the client's half of holdfast/v1/holdfast.proto (service Stream). */

export const FRAME = { requests: bytes(1), ping: varint(2) }
export const REQUEST = {
  id: varint(1),
  range: varint(2),
  generation: varint(3),
  deadlineMs: varint(4),
  seen: fixed64(5),
  get: bytes(6),
  scan: bytes(7),
  write: bytes(8),
  split: bytes(9),
  routes: bytes(10),
  status: bytes(11),
  transfer: bytes(12),
}
export const GET = { keys: bytes(1), weak: bytes(2) }
export const SCAN = {
  start: bytes(1),
  end: bytes(2),
  reverse: varint(3),
  limit: varint(4),
  bytesMax: varint(5),
  at: fixed64(6),
  keysOnly: varint(7),
  weak: bytes(8),
}
export const WRITE = { origin: bytes(1), conditions: bytes(2), writes: bytes(3), wantValue: varint(4) }
export const SPLIT = { origin: bytes(1), at: bytes(2) }
export const TRANSFER = { to: varint(1) }
export const ROUTES = { from: bytes(1), limit: varint(2) }
export const ORIGIN = { session: bytes(1), sequence: varint(2), firstSent: fixed64(3), lowest: varint(4) }
export const CONDITION = { key: bytes(1), version: fixed64(2), absent: varint(3), value: bytes(4) }
export const VALUE = { value: bytes(1), codec: varint(2) }
export const MUTATION = { key: bytes(1), delete: varint(2), codec: varint(3), value: bytes(4) }
