import type { Key } from '../../base/ids.js'
import type { Row } from '../../kv/requests.js'
import type { StateStore } from '../../storage/types.js'
import type { Replica } from '../../store/replica.js'
import { isSameRecord, type RecordsModel } from './records.js'
import type { Violations } from './violations.js'

const PAGE_ROWS = 200
const PAGE_BYTES = 256 * 1024

/**
 * Holds what a replica has stored against the model of all that was ever written: every key that a read at its clock should find, with
 * version and value, and no other. `done` when it has read it all, on the node's own time.
 */
export function checkStored(
  place: string,
  { replica, state }: { replica: Replica; state: StateStore },
  { model, violations }: { model: RecordsModel; violations: Violations },
  done: () => void,
): void {
  const { range, descriptor, storages, clock: at } = replica
  readAll(state, { storages, at }, (rows) => {
    const expected = model.visible(descriptor.span, at)
    const where = `range ${range} on ${place}`
    if (!violations.require(rows !== null, () => `${where} can't be read`)) return done()
    for (const { key, version, codec, value } of rows!) {
      const record = expected.get(key)
      expected.delete(key)
      violations.require(
        record !== undefined && record.version === version && isSameRecord(record, { key, version, codec, value }),
        () =>
          `${where} holds ${JSON.stringify(key)} at version ${version}; written was ${record === undefined ? 'nothing that is left' : `version ${record.version}`}`,
      )
    }
    const [missing] = expected.values()
    violations.require(
      missing === undefined,
      () => `${where} lacks ${JSON.stringify(missing!.key)} at version ${missing!.version}`,
    )
    done()
  })
}

/** Rows null: damaged. */
function readAll(
  state: StateStore,
  { storages, at }: Pick<Replica, 'storages'> & { at: Replica['clock'] },
  done: (rows: readonly Row[] | null) => void,
): void {
  const all: Row[] = []
  const next = (place: number, start: Key): void => {
    const piece = storages[place]
    if (piece === undefined) return done(all)
    const { storage, span } = piece
    const page = { at, reverse: false, limit: PAGE_ROWS, bytesMax: PAGE_BYTES, keysOnly: false }
    state.scan({ storage, span: { start, end: span.end }, ...page }, (rows, more) => {
      if (rows === null) return done(null)
      all.push(...rows)
      const last = rows.at(-1)
      if (more && last !== undefined) next(place, `${last.key}\0` as Key)
      else next(place + 1, storages[place + 1]?.span.start ?? ('' as Key))
    })
  }
  next(0, storages[0]?.span.start ?? ('' as Key))
}
