import { HoldfastError } from '../base/errors.js'
import type { Key, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { weakReadOf } from './consistency.js'
import type { ClientCore } from './core.js'
import { decodeKey } from './keys.js'
import { storedSpan } from './spans.js'
import type { Entry, ScanOptions } from './types.js'
import { decodeValue } from './values.js'

/** Walks a span page by page, range by range. Nothing is asked before the first entry is. */
export async function* scanEntries<T>(
  core: ClientCore,
  options: ScanOptions,
): AsyncGenerator<Entry<T>, void, undefined> {
  const { deadlineMs, signal, keysOnly = false, limit = Number.POSITIVE_INFINITY, reverse = false } = options
  if (!(limit === Number.POSITIVE_INFINITY || Number.isSafeInteger(limit)) || limit < 1) {
    throw new HoldfastError('INVALID_ARGUMENT', `limit is ${limit}; expected a whole number from 1`)
  }
  const weak = weakReadOf(options)
  const span: { start: Key; end: Key } = storedSpan(options)
  let at: Version | null = null
  let left = limit
  while (span.start < span.end && left > 0) {
    const pageLimit = Math.min(left, limits.scanRowsMax)
    const page = await core.scanPage({ ...span, reverse, keysOnly, at, limit: pageLimit }, { deadlineMs, signal, weak })
    for (const { codec, key, value, version } of page.rows) {
      const decoded = keysOnly ? undefined : decodeValue(value, codec)
      yield { key: decodeKey(key), value: decoded as T, version, codec }
    }
    if (page.resume === null) return
    left -= page.rows.length
    at = page.at
    if (reverse) span.end = page.resume
    else span.start = page.resume
  }
}
