import type { Descriptor } from '../../base/descriptor.js'

/** null: the descriptors' spans partition the whole key space. Otherwise what is wrong. */
export function partitionFault(descriptors: readonly Descriptor[]): string | null {
  const sorted = [...descriptors].sort((a, b) => (a.span.start < b.span.start ? -1 : 1))
  const [first] = sorted
  if (first === undefined || first.span.start !== '') return 'no range begins where the keys begin'
  for (const [at, { range, span }] of sorted.entries()) {
    const next = sorted[at + 1]
    if (next === undefined) return span.end === null ? null : `no range follows range ${range}`
    if (span.end === null || span.end > next.span.start) return `ranges ${range} and ${next.range} overlap`
    if (span.end < next.span.start) return `no range between ranges ${range} and ${next.range}`
  }
  return null
}

/** null: no two spans share a key. */
export function overlapFault(descriptors: readonly Descriptor[]): string | null {
  const sorted = [...descriptors].sort((a, b) => (a.span.start < b.span.start ? -1 : 1))
  for (const [at, { range, span }] of sorted.entries()) {
    const next = sorted[at + 1]
    if (next !== undefined && (span.end === null || span.end > next.span.start)) {
      return `ranges ${range} and ${next.range} overlap`
    }
  }
  return null
}
