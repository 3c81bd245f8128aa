import type { Key, Version } from '../base/ids.js'
import { contains } from '../base/span.js'
import type { WriteResult } from '../client/core.js'
import { decodeKey } from '../client/keys.js'
import type { Write } from '../kv/types.js'
import { isSameRecord, type RecordsModel } from './checkers/records.js'
import type { SimNode } from './node.js'

/**
 * What clients were told is written. It has to be there when they are told, and when all is at rest no replica may be behind it: what is
 * written up to where a replica is, `checkStored` finds.
 */
export class Acknowledged {
  readonly #records: RecordsModel
  readonly #report: (violation: string) => void
  /** Per key. */
  readonly #newest = new Map<Key, Version>()

  constructor(records: RecordsModel, report: (violation: string) => void) {
    this.#records = records
    this.#report = report
  }

  /** `deleted`: per delete, in order. */
  wrote(writes: readonly Write[], { version, deleted }: WriteResult): void {
    let deletes = 0
    for (const write of writes) {
      const { key } = write
      const isWritten = write.kind === 'put' || deleted[deletes++] === true
      if (isWritten ? !this.#isThere(write, version) : !this.#isAbsent(key, version)) {
        const what = isWritten
          ? `that its ${write.kind} of ${nameOf(key)} is written`
          : `that there was no ${nameOf(key)}`
        this.#report(`a client was told ${what} under version ${version}; it is not so`)
      }
      if (isWritten && version > (this.#newest.get(key) ?? 0)) this.#newest.set(key, version)
    }
  }

  #isThere(write: Write, version: Version): boolean {
    const record = this.#records.at(write.key, version)
    if (record === undefined) return false
    return write.kind === 'put' ? isSameRecord(record, { ...write, version }) : record.value === null
  }

  #isAbsent(key: Key, version: Version): boolean {
    const newest = this.#records.recordsOf(key).findLast((record) => record.version <= version)
    return newest === undefined || newest.value === null
  }

  /** When all is quiet. */
  checkHeld(nodes: readonly Pick<SimNode, 'place' | 'store'>[]): void {
    for (const { place, store } of nodes) {
      for (const { range, descriptor, clock } of store?.replicas ?? []) {
        for (const [key, version] of this.#newest) {
          if (version <= clock || !contains(descriptor.span, key)) continue
          this.#report(
            `range ${range} on ${place} is at version ${clock} and lacks ${nameOf(key)} of version ${version}, which was acknowledged`,
          )
        }
      }
    }
  }
}

function nameOf(key: Key): string {
  return JSON.stringify(decodeKey(key))
}
