import { assertNever } from '../base/assert.js'
import type { Key } from '../base/ids.js'
import type { GetRequest, RangeRequest, ScanRequest, WriteRequest } from '../kv/requests.js'
import { contains } from '../range/span.js'
import type { Replica } from './replica.js'

/** What a request costs beside its keys and values, in the bounds of queues. */
export const REQUEST_OVERHEAD_BYTES = 64

export function keysOf(request: RangeRequest): readonly Key[] {
  switch (request.kind) {
    case 'get':
      return request.keys
    case 'scan':
      return [request.start]
    case 'write':
      return [...request.conditions, ...request.writes].map((each) => each.key)
    case 'split':
      return [request.at]
    case 'transfer':
      return []
    default:
      return assertNever(request)
  }
}

/** Whether the range is the one the client meant. A scan stays within one range: the SDK cuts it at the borders. */
export function isCurrent(replica: Replica, request: RangeRequest): boolean {
  if (request.kind === 'transfer') return true
  const { generation, span } = replica.descriptor
  if (request.generation !== generation) return false
  if (request.kind === 'scan' && !endsWithin(request.end, span.end)) return false
  return keysOf(request).every((key) => contains(span, key))
}

function endsWithin(end: Key | null, limit: Key | null): boolean {
  return limit === null || (end !== null && end <= limit)
}

export function readBytes(request: GetRequest | ScanRequest): number {
  if (request.kind === 'scan') return REQUEST_OVERHEAD_BYTES + request.start.length + (request.end?.length ?? 0)
  let bytes = REQUEST_OVERHEAD_BYTES
  for (const key of request.keys) bytes += key.length
  return bytes
}

export function commandBytes(request: WriteRequest): number {
  let bytes = REQUEST_OVERHEAD_BYTES
  for (const condition of request.conditions)
    bytes += condition.key.length + (condition.kind === 'value' ? condition.value.length : 0)
  for (const write of request.writes) bytes += write.key.length + (write.kind === 'put' ? write.value.length : 0)
  return bytes
}
