import { limits } from '../../base/limits.js'
import type { Reply, ReplyError, Route, Row, ServerHello } from '../../kv/requests.js'
import type { FailedCondition } from '../../kv/types.js'
import { encode, encodeFrames } from './frames.js'
import { codecNumber, writeDescriptor, writeNode } from './nouns.js'
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
import { writeStatus } from './status.js'
import type { Writer } from './writer.js'

const REPLY_BYTES_MAX = limits.messageBytesMax - 64 * 1024

export function encodeHello(hello: ServerHello): Buffer {
  return encode((writer) => {
    writer.open(SERVER_FRAME.hello)
    writer.utf8(HELLO.cluster, hello.cluster)
    writer.uint(HELLO.node, hello.node)
    for (const node of hello.nodes) writeNode(writer, HELLO.nodes, node)
    writer.fixed(HELLO.version, hello.version)
    writer.close()
  })
}

export function encodePong(pong: number): Buffer {
  return encode((writer) => writer.optionalUint(SERVER_FRAME.pong, pong))
}

/**
 * Frames of replies. `refuseRead` gives an error to send instead of a read's result of so many bytes, or null; a reply that
 * no message can carry becomes TOO_LARGE in any case.
 */
export function encodeReplies(
  replies: readonly Reply[],
  refuseRead: (bytes: number) => ReplyError | null = () => null,
): Buffer[] {
  return encodeFrames(replies, (writer, reply) => {
    const before = writer.length
    writeReply(writer, reply)
    const size = writer.length - before
    const error = size > REPLY_BYTES_MAX ? tooLarge(size) : isRead(reply) ? refuseRead(size) : null
    if (error === null) return
    writer.rewind(before)
    writeReply(writer, { id: reply.id, version: reply.version, kind: 'error', error })
  })
}

function isRead(reply: Reply): boolean {
  return reply.kind === 'rows' || reply.kind === 'page'
}

function tooLarge(size: number): ReplyError {
  const message = `the result has ${size} bytes, more than a message holds (${REPLY_BYTES_MAX}): ask for less at once`
  return { code: 'TOO_LARGE', message, retryAfterMs: null, routes: [], failed: [] }
}

function writeReply(writer: Writer, reply: Reply): void {
  writer.open(SERVER_FRAME.replies, expectedBytes(reply))
  writer.uint(REPLY.id, reply.id)
  writer.fixed(REPLY.version, reply.version)
  writeKind(writer, reply)
  writer.close()
}

function writeKind(writer: Writer, reply: Reply): void {
  switch (reply.kind) {
    case 'written':
      writer.open(REPLY.written)
      if (reply.deleted.length > 0) writer.bytes(WRITTEN.deleted, Uint8Array.from(reply.deleted, Number))
      return writer.close()
    case 'rows':
      writer.open(REPLY.rows, expectedBytes(reply) - 16)
      for (const row of reply.rows) writeRow(writer, ROWS.rows, row)
      return writer.close()
    case 'page':
      writer.open(REPLY.page, expectedBytes(reply) - 16)
      for (const row of reply.rows) writeRow(writer, PAGE.rows, row)
      writer.flag(PAGE.more, reply.more)
      return writer.close()
    case 'split':
      writer.open(REPLY.split)
      writer.uint(SPLIT_DONE.child, reply.child)
      return writer.close()
    case 'transferred':
      writer.open(REPLY.transferred)
      return writer.close()
    case 'routes':
      writer.open(REPLY.routes)
      for (const route of reply.routes) writeRoute(writer, ROUTE_LIST.routes, route)
      for (const node of reply.nodes) writeNode(writer, ROUTE_LIST.nodes, node)
      return writer.close()
    case 'status':
      return writeStatus(writer, REPLY.status, reply.status)
    case 'error':
      return writeError(writer, reply.error)
  }
}

/** A row of version 0 says that the key is absent. */
function writeRow(writer: Writer, tag: number, row: Row | null): void {
  writer.open(tag, row === null ? 0 : row.key.length + row.value.length + 16)
  if (row !== null) {
    writer.latin1(ROW.key, row.key)
    writer.fixed(ROW.version, row.version)
    writer.uint(ROW.codec, codecNumber(row.codec))
    writer.bytes(ROW.value, row.value)
  }
  writer.close()
}

function writeRoute(writer: Writer, tag: number, route: Route): void {
  writer.open(tag)
  writeDescriptor(writer, ROUTE.descriptor, route.descriptor)
  writer.uint(ROUTE.leader, route.leader ?? 0)
  writer.close()
}

function writeError(writer: Writer, error: ReplyError): void {
  writer.open(REPLY.error)
  writer.utf8(ERROR.code, error.code)
  writer.utf8(ERROR.message, error.message)
  if (error.retryAfterMs !== null) writer.optionalUint(ERROR.retryAfterMs, Math.max(0, Math.ceil(error.retryAfterMs)))
  for (const route of error.routes) writeRoute(writer, ERROR.routes, route)
  for (const failed of error.failed) writeFailed(writer, failed)
  writer.close()
}

function writeFailed(writer: Writer, failed: FailedCondition): void {
  writer.open(ERROR.failed)
  writer.latin1(FAILED.key, failed.key)
  writer.fixed(FAILED.version, failed.version)
  if (failed.value !== null) writer.bytes(FAILED.value, failed.value)
  writer.uint(FAILED.codec, codecNumber(failed.codec))
  writer.close()
}

/** Good enough to reserve the right number of bytes for the length. */
function expectedBytes(reply: Reply): number {
  if (reply.kind !== 'rows' && reply.kind !== 'page') return 24
  let bytes = 16
  for (const row of reply.rows) bytes += row === null ? 2 : row.key.length + row.value.length + 20
  return bytes
}
