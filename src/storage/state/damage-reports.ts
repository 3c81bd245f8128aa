import type { RangeId, StorageId } from '../../base/ids.js'
import type { Logger } from '../../base/ports.js'
import type { StateDamage, StateDb } from '../types.js'

/**
 * Tells damage once for each place, however many reads meet it, and has it kept on record: a compaction copies damaged blocks under new,
 * right checksums, and a start after that would find nothing.
 *
 * Journals are named one by one, also where a table may hold any of them: what is on record as 'all' could never be healed, and the
 * next opening would give up the whole state, with everything that was fetched anew since.
 */
export class DamageReports {
  readonly #db: StateDb
  readonly #onDamage: (damage: StateDamage) => void
  readonly #logger: Logger
  readonly #storages = new Set<StorageId | 'all'>()
  readonly #journals = new Set<RangeId | 'all'>()
  /** Ranges whose journal was read or written in this life: each that has a replica here, because its sessions come from it. */
  readonly #ranges = new Set<RangeId>()

  constructor(parts: { db: StateDb; onDamage: (damage: StateDamage) => void; logger: Logger }) {
    this.#db = parts.db
    this.#onDamage = parts.onDamage
    this.#logger = parts.logger
  }

  usesJournal(range: RangeId): void {
    this.#ranges.add(range)
  }

  report({ what, ...told }: StateDamage): void {
    const storages = unknown(told.storages, this.#storages)
    const journals = unknown(told.journals === 'all' ? [...this.#ranges] : told.journals, this.#journals)
    if (storages.length === 0 && journals.length === 0) return
    const damage: StateDamage = { what, storages, journals }
    this.#logger.log('error', `the state is damaged: ${what}`, { storages, journals })
    this.#db.markDamaged(damage, (error) => {
      if (error !== null) this.#logger.log('error', `damage could not be put on record: ${error.message}`)
    })
    this.#onDamage(damage)
  }

  /** Damage found there from now on is news. */
  forget(what: { storage: StorageId } | { journal: RangeId }): void {
    if ('storage' in what) this.#storages.delete(what.storage)
    else this.#journals.delete(what.journal)
  }
}

function unknown<T>(told: readonly T[] | 'all', known: Set<T | 'all'>): readonly T[] | 'all' {
  const fresh = (told === 'all' ? ['all' as const] : told).filter((each) => !known.has('all') && !known.has(each))
  for (const each of fresh) known.add(each)
  return told === 'all' && fresh.length > 0 ? 'all' : (fresh as T[])
}
