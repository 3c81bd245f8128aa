import type { Span } from './descriptor.js'
import type { Key } from './ids.js'

/** A span is [start, end) in byte order; an `end` of null lies behind every key. */

export function contains(span: Span, key: Key): boolean {
  return span.start <= key && (span.end === null || key < span.end)
}

/** Has at least one possible key: an empty or upside-down span is not valid. */
export function isValid(span: Span): boolean {
  return span.end === null || span.start < span.end
}

/** Both must be valid. */
export function overlaps(a: Span, b: Span): boolean {
  return isBefore(a.start, b.end) && isBefore(b.start, a.end)
}

/** Negative, zero or positive, as for sort; null is behind everything. */
export function compareEnds(a: Key | null, b: Key | null): number {
  if (a === b) return 0
  if (a === null) return 1
  if (b === null) return -1
  return a < b ? -1 : 1
}

/** The part that both cover, or null. Both must be valid. */
export function intersection(a: Span, b: Span): Span | null {
  if (!overlaps(a, b)) return null
  return { start: a.start > b.start ? a.start : b.start, end: compareEnds(a.end, b.end) < 0 ? a.end : b.end }
}

/** Does a key lie before an end. */
export function isBefore(key: Key, end: Key | null): boolean {
  return end === null || key < end
}
