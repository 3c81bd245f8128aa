import type { Span } from '../base/descriptor.js'
import type { Key, Version } from '../base/ids.js'
import type { Reply, Row } from '../kv/requests.js'
import { compareEnds, isBefore } from '../range/span.js'
import type { PageAsked } from './call.js'

/** One page of a scan. */
export interface Page {
  readonly rows: readonly Row[]
  /** Where the next page starts (reversed: ends); null: that was all. */
  readonly resume: Key | null
  /** What the next page is to be read at: this page's version within the same range; null, the present, in the next one. */
  readonly at: Version | null
}

/** Null: the answer contradicts itself. */
export function pageOf(asked: PageAsked, answer: Extract<Reply, { kind: 'page' }>, range: Span): Page | null {
  const { more, rows } = answer
  const at = asked.at ?? answer.version
  if (more) {
    const last = rows.at(-1)
    if (last === undefined) return null
    const resume = asked.reverse ? last.key : (`${last.key}\0` as Key)
    // At the border the next page is another range's: this range's version says nothing there.
    const leaves = asked.reverse ? !isBefore(range.start, resume) : range.end !== null && !isBefore(resume, range.end)
    return { rows, at: leaves ? null : at, resume }
  }
  return { rows, at: null, resume: asked.reverse ? nextBackwards(asked, range) : nextForwards(asked, range) }
}

function nextForwards(asked: PageAsked, range: Span): Key | null {
  return range.end !== null && compareEnds(range.end, asked.end) < 0 ? range.end : null
}

function nextBackwards(asked: PageAsked, range: Span): Key | null {
  return isBefore(asked.start, range.start) ? range.start : null
}
