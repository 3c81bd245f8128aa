import { bytes, fixed64, varint } from './writer.js'

/** Fields of the node's half of holdfast/v1/holdfast.proto (service Stream). */

export const SERVER_FRAME = { hello: bytes(1), replies: bytes(2), pong: varint(3) }
export const HELLO = { cluster: bytes(1), node: varint(2), nodes: bytes(3), version: fixed64(4) }
export const REPLY = {
  id: varint(1),
  version: fixed64(2),
  rows: bytes(3),
  page: bytes(4),
  written: bytes(5),
  split: bytes(6),
  routes: bytes(7),
  status: bytes(8),
  error: bytes(9),
  transferred: bytes(10),
}
export const ROW = { key: bytes(1), version: fixed64(2), codec: varint(3), value: bytes(4) }
export const ROWS = { rows: bytes(1) }
export const PAGE = { rows: bytes(1), more: varint(2) }
export const WRITTEN = { deleted: bytes(1), deletedUnpacked: varint(1) }
export const SPLIT_DONE = { child: varint(1) }
export const ROUTE_LIST = { routes: bytes(1), nodes: bytes(2) }
export const ROUTE = { descriptor: bytes(1), leader: varint(2) }
export const ERROR = { code: bytes(1), message: bytes(2), retryAfterMs: varint(3), routes: bytes(4), failed: bytes(5) }
export const FAILED = { key: bytes(1), version: fixed64(2), value: bytes(3), codec: varint(4) }
export const STATUS = {
  cluster: bytes(1),
  node: bytes(2),
  nodes: bytes(3),
  replicas: bytes(4),
  uptimeMs: varint(5),
  overlayBytes: varint(6),
  logBytes: varint(7),
}
export const REPLICA_STATUS = {
  descriptor: bytes(1),
  replica: varint(2),
  role: varint(3),
  term: varint(4),
  leader: varint(5),
  applied: varint(6),
  commit: varint(7),
  lastIndex: varint(8),
  digest: varint(9),
  stateless: varint(10),
}
