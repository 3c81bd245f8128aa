import type { Request } from '../../kv/requests.js'
import type { Condition, Origin, Write } from '../../kv/types.js'
import { encode, encodeFrames } from './frames.js'
import { codecNumber } from './nouns.js'
import {
  CONDITION,
  FRAME,
  GET,
  MUTATION,
  ORIGIN,
  REQUEST,
  ROUTES,
  SCAN,
  SPLIT,
  TRANSFER,
  VALUE,
  WRITE,
} from './request-tags.js'
import { writeWeak } from './weak.js'
import type { Writer } from './writer.js'

export function encodeRequests(requests: readonly Request[]): Buffer[] {
  return encodeFrames(requests, writeRequest)
}

export function encodePing(ping: number): Buffer {
  return encode((writer) => writer.optionalUint(FRAME.ping, ping))
}

function writeRequest(writer: Writer, request: Request): void {
  writer.open(FRAME.requests, expectedBytes(request))
  writer.uint(REQUEST.id, request.id)
  writer.uint(REQUEST.deadlineMs, Math.max(0, Math.ceil(request.deadlineMs)))
  if (request.kind === 'routes') {
    writer.open(REQUEST.routes)
    writer.latin1(ROUTES.from, request.from)
    writer.uint(ROUTES.limit, request.limit)
    writer.close()
  } else if (request.kind === 'status') {
    writer.open(REQUEST.status)
    writer.close()
  } else {
    writer.uint(REQUEST.range, request.range)
    writer.uint(REQUEST.generation, request.generation)
    writer.fixed(REQUEST.seen, request.seen)
    writeRangeRequest(writer, request)
  }
  writer.close()
}

function writeRangeRequest(writer: Writer, request: Exclude<Request, { kind: 'routes' | 'status' }>): void {
  switch (request.kind) {
    case 'get':
      writer.open(REQUEST.get)
      for (const key of request.keys) writer.latin1(GET.keys, key)
      writeWeak(writer, GET.weak, request.weak)
      return writer.close()
    case 'scan':
      writer.open(REQUEST.scan)
      writer.latin1(SCAN.start, request.start)
      if (request.end !== null) writer.latin1(SCAN.end, request.end)
      writer.flag(SCAN.reverse, request.reverse)
      writer.uint(SCAN.limit, request.limit)
      writer.uint(SCAN.bytesMax, request.bytesMax)
      if (request.at !== null) writer.optionalFixed(SCAN.at, request.at)
      writer.flag(SCAN.keysOnly, request.keysOnly)
      writeWeak(writer, SCAN.weak, request.weak)
      return writer.close()
    case 'write':
      writer.open(REQUEST.write, expectedBytes(request))
      writeOrigin(writer, WRITE.origin, request.origin)
      for (const condition of request.conditions) writeCondition(writer, condition)
      for (const write of request.writes) writeMutation(writer, write)
      writer.flag(WRITE.wantValue, request.wantValue)
      return writer.close()
    case 'split':
      writer.open(REQUEST.split)
      writeOrigin(writer, SPLIT.origin, request.origin)
      writer.latin1(SPLIT.at, request.at)
      return writer.close()
    case 'transfer':
      writer.open(REQUEST.transfer)
      writer.uint(TRANSFER.to, request.to)
      return writer.close()
  }
}

function writeOrigin(writer: Writer, tag: number, origin: Origin | null): void {
  if (origin === null) return
  writer.open(tag)
  writer.latin1(ORIGIN.session, origin.session)
  writer.uint(ORIGIN.sequence, origin.sequence)
  writer.fixed(ORIGIN.firstSent, origin.firstSent)
  writer.uint(ORIGIN.lowest, origin.lowest)
  writer.close()
}

function writeCondition(writer: Writer, condition: Condition): void {
  writer.open(WRITE.conditions)
  writer.latin1(CONDITION.key, condition.key)
  if (condition.kind === 'version') writer.optionalFixed(CONDITION.version, condition.version)
  else if (condition.kind === 'absent') writer.flag(CONDITION.absent, true)
  else {
    writer.open(CONDITION.value, condition.value.length + 8)
    writer.bytes(VALUE.value, condition.value)
    writer.uint(VALUE.codec, codecNumber(condition.codec))
    writer.close()
  }
  writer.close()
}

function writeMutation(writer: Writer, write: Write): void {
  writer.open(WRITE.writes, write.key.length + (write.kind === 'put' ? write.value.length + 8 : 4))
  writer.latin1(MUTATION.key, write.key)
  if (write.kind === 'delete') writer.flag(MUTATION.delete, true)
  else {
    writer.uint(MUTATION.codec, codecNumber(write.codec))
    writer.bytes(MUTATION.value, write.value)
  }
  writer.close()
}

/** Good enough to reserve the right number of bytes for the length. */
function expectedBytes(request: Request): number {
  if (request.kind !== 'write') return 64
  let bytes = 80
  for (const write of request.writes) bytes += write.key.length + 8 + (write.kind === 'put' ? write.value.length : 0)
  return bytes
}
