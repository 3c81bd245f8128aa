import type { Descriptor, NodeInfo } from '../../base/descriptor.js'
import { isErrorCode } from '../../base/errors.js'
import type { Key, NodeId, RangeId, Version } from '../../base/ids.js'
import type { Reply, ReplyError, Route, Row, ServerHello } from '../../kv/requests.js'
import type { FailedCondition } from '../../kv/types.js'
import { clusterOf, codecOf, idOf, readDescriptor, readNode, show } from './nouns.js'
import { Reader, WireError } from './reader.js'
import {
  ERROR,
  FAILED,
  HELLO,
  PAGE,
  REPLY,
  ROUTE,
  ROUTE_LIST,
  ROW,
  ROWS,
  SERVER_FRAME,
  SPLIT_DONE,
  WRITTEN,
} from './reply-tags.js'
import { readStatus } from './status.js'

export interface ServerFrame {
  readonly hello: ServerHello | null
  readonly replies: readonly Reply[]
}

/** Throws WireError. */
export function decodeServerFrame(frame: Uint8Array): ServerFrame {
  const reader = new Reader(frame)
  let hello: ServerHello | null = null
  const replies: Reply[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SERVER_FRAME.replies) replies.push(readReply(reader))
    else if (tag === SERVER_FRAME.hello) hello = readHello(reader)
    else reader.skip()
  }
  return { hello, replies }
}

function readHello(reader: Reader): ServerHello {
  const outer = reader.enter()
  let cluster = ''
  let node = 0
  let version = 0
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === HELLO.cluster) cluster = reader.utf8()
    else if (tag === HELLO.node) node = reader.uint()
    else if (tag === HELLO.nodes) nodes.push(readNode(reader))
    else if (tag === HELLO.version) version = reader.fixed()
    else reader.skip()
  }
  reader.leave(outer)
  return { cluster: clusterOf(cluster), node: idOf<NodeId>(node, 'node id'), nodes, version: version as Version }
}

function readReply(reader: Reader): Reply {
  const outer = reader.enter()
  let id = 0
  let version = 0 as Version
  let body: Body | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === REPLY.id) id = reader.uint()
    else if (tag === REPLY.version) version = reader.fixed() as Version
    else body = readKind(reader, tag) ?? body
  }
  reader.leave(outer)
  if (body === null) throw new WireError(`the kind of reply ${id} is missing or not known`)
  return withBody(body, { id, version })
}

type Without<Kind, Fields extends string> = Kind extends Reply ? Omit<Kind, Fields> : never
/** A reply without what all replies have. */
type Body = Without<Reply, 'id' | 'version'>

/** Spelled out where it is hot: a literal is several times cheaper than a spread. */
function withBody(body: Body, { id, version }: { id: number; version: Version }): Reply {
  if (body.kind === 'written') return { kind: 'written', id, version, deleted: body.deleted }
  if (body.kind === 'rows') return { kind: 'rows', id, version, rows: body.rows }
  return { ...body, id, version }
}

function readKind(reader: Reader, tag: number): Body | null {
  switch (tag) {
    case REPLY.rows:
      return readRows(reader)
    case REPLY.written:
      return { kind: 'written', deleted: readDeleted(reader) }
    case REPLY.page:
      return readPage(reader)
    case REPLY.split:
      return { kind: 'split', child: readChild(reader) }
    case REPLY.transferred:
      reader.leave(reader.enter())
      return { kind: 'transferred' }
    case REPLY.routes:
      return readRoutes(reader)
    case REPLY.status:
      return { kind: 'status', status: readStatus(reader) }
    case REPLY.error:
      return { kind: 'error', error: readError(reader) }
    default:
      reader.skip()
      return null
  }
}

function readRow(reader: Reader): Row | null {
  const outer = reader.enter()
  let key = '' as Key
  let version = 0
  let codec = 0
  let value: Uint8Array = EMPTY
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ROW.key) key = reader.latin1() as Key
    else if (tag === ROW.version) version = reader.fixed()
    else if (tag === ROW.codec) codec = reader.uint()
    else if (tag === ROW.value) value = reader.copy()
    else reader.skip()
  }
  reader.leave(outer)
  return version === 0 ? null : { key, version: version as Version, codec: codecOf(codec), value }
}

function readRows(reader: Reader): Body {
  const outer = reader.enter()
  const rows: (Row | null)[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ROWS.rows) rows.push(readRow(reader))
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'rows', rows }
}

function readPage(reader: Reader): Body {
  const outer = reader.enter()
  const rows: Row[] = []
  let more = false
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === PAGE.rows) {
      const row = readRow(reader)
      if (row === null) throw new WireError('a row of a page has no version')
      rows.push(row)
    } else if (tag === PAGE.more) more = reader.flag()
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'page', rows, more }
}

function readDeleted(reader: Reader): boolean[] {
  const outer = reader.enter()
  const deleted: boolean[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === WRITTEN.deleted) {
      const list = reader.enter()
      while (reader.left > 0) deleted.push(reader.flag())
      reader.leave(list)
    } else if (tag === WRITTEN.deletedUnpacked) deleted.push(reader.flag())
    else reader.skip()
  }
  reader.leave(outer)
  return deleted
}

function readChild(reader: Reader): RangeId {
  const outer = reader.enter()
  let child = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SPLIT_DONE.child) child = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return idOf<RangeId>(child, 'range id')
}

function readRoutes(reader: Reader): Body {
  const outer = reader.enter()
  const routes: Route[] = []
  const nodes: NodeInfo[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ROUTE_LIST.routes) routes.push(readRoute(reader))
    else if (tag === ROUTE_LIST.nodes) nodes.push(readNode(reader))
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'routes', routes, nodes }
}

function readRoute(reader: Reader): Route {
  const outer = reader.enter()
  let descriptor: Descriptor | null = null
  let leader = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ROUTE.descriptor) descriptor = readDescriptor(reader)
    else if (tag === ROUTE.leader) leader = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  if (descriptor === null) throw new WireError('a route has no descriptor')
  return { descriptor, leader: leader === 0 ? null : (leader as NodeId) }
}

function readError(reader: Reader): ReplyError {
  const outer = reader.enter()
  let code = ''
  let message = ''
  let retryAfterMs: number | null = null
  const routes: Route[] = []
  const failed: FailedCondition[] = []
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ERROR.code) code = reader.utf8()
    else if (tag === ERROR.message) message = reader.utf8()
    else if (tag === ERROR.retryAfterMs) retryAfterMs = reader.uint()
    else if (tag === ERROR.routes) routes.push(readRoute(reader))
    else if (tag === ERROR.failed) failed.push(readFailed(reader))
    else reader.skip()
  }
  reader.leave(outer)
  if (!isErrorCode(code)) throw new WireError(`error code ${show(code)} is not known`)
  return { code, message, retryAfterMs, routes, failed }
}

function readFailed(reader: Reader): FailedCondition {
  const outer = reader.enter()
  let key = '' as Key
  let version = 0 as Version
  let value: Uint8Array | null = null
  let codec = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === FAILED.key) key = reader.latin1() as Key
    else if (tag === FAILED.version) version = reader.fixed() as Version
    else if (tag === FAILED.value) value = reader.copy()
    else if (tag === FAILED.codec) codec = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { key, version, value, codec: codecOf(codec) }
}

const EMPTY = new Uint8Array(0)
