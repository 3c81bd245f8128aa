import type { Span } from '../base/descriptor.js'
import type { Key, StorageId, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { DESCRIPTOR_SPAN, NODE_SPAN } from '../kv/meta.js'
import type { Row } from '../kv/requests.js'
import { intersection } from '../range/span.js'
import type { StateStore } from '../storage/types.js'

/** Reads what the meta range has stored of descriptors and nodes. Null: damaged. */
export function readIndex(
  state: Pick<StateStore, 'scan'>,
  from: { storage: StorageId; at: Version; span: Span },
  done: (rows: readonly Row[] | null) => void,
): void {
  const rows: Row[] = []
  const spans = [DESCRIPTOR_SPAN, NODE_SPAN].flatMap((span) => intersection(span, from.span) ?? [])
  const load = (span: Span): void => {
    const page = { storage: from.storage, span, at: from.at, reverse: false, keysOnly: false }
    state.scan({ ...page, limit: limits.scanRowsMax, bytesMax: limits.scanBytesMax }, (found, more) => {
      if (found === null) return done(null)
      rows.push(...found)
      const last = found.at(-1)
      const rest = more && last !== undefined ? { start: `${last.key}\0` as Key, end: span.end } : spans.shift()
      if (rest === undefined) done(rows)
      else load(rest)
    })
  }
  load(spans.shift() ?? DESCRIPTOR_SPAN)
}
