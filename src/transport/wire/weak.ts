import type { WeakRead } from '../../kv/requests.js'
import { type Reader, WireError } from './reader.js'
import { varint, type Writer } from './writer.js'

/** Message WeakRead of holdfast/v1/holdfast.proto. */
const WEAK = { kind: varint(1), maxStaleMs: varint(2) }
/** By their numbers on the wire; 0 is a linearizable read. */
const kinds: readonly (WeakRead['kind'] | null)[] = [null, 'leaderLease', 'follower', 'stale']

export function writeWeak(writer: Writer, tag: number, weak: WeakRead | undefined): void {
  if (weak === undefined) return
  writer.open(tag)
  writer.uint(WEAK.kind, kinds.indexOf(weak.kind))
  if (weak.kind === 'stale') writer.uint(WEAK.maxStaleMs, weak.maxStaleMs)
  writer.close()
}

export function readWeak(reader: Reader): WeakRead | undefined {
  const outer = reader.enter()
  let number = 0
  let maxStaleMs = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === WEAK.kind) number = reader.uint()
    else if (tag === WEAK.maxStaleMs) maxStaleMs = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  const kind = kinds[number]
  if (kind === undefined) throw new WireError(`kind of read ${number} is not known, expected 0 to ${kinds.length - 1}`)
  if (kind === null) return undefined
  return kind === 'stale' ? { kind, maxStaleMs } : { kind }
}
