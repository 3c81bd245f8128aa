import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { RangeId, StorageId } from '../../base/ids.js'
import { parseChecked, printChecked } from '../checked-json.js'
import type { StateDamage } from '../types.js'
import { isUnreadable } from '../unreadable.js'
import { syncDirectory } from './sync-files.js'

/** Beside LevelDB's files, which leaves alone what it does not know. */
const NAME = 'DAMAGED.json'

/**
 * Damage on record, until it is healed. A compaction copies a damaged block and gives it a right checksum, so a later start could not
 * see it in the tables any more.
 */
export class DamageFile {
  readonly #directory: string
  #damage: StateDamage | null
  #writing: Promise<void> = Promise.resolve()

  private constructor(directory: string, damage: StateDamage | null) {
    this.#directory = directory
    this.#damage = damage
  }

  /** A record that cannot be read, or was not written so, says that there was damage, and no longer which. */
  static async open(directory: string): Promise<DamageFile> {
    let bytes: Uint8Array
    try {
      bytes = await readFile(join(directory, NAME))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new DamageFile(directory, null)
      if (!isUnreadable(error)) throw error
      bytes = new Uint8Array()
    }
    return new DamageFile(
      directory,
      parsed(bytes) ?? { what: `${NAME} is unreadable`, storages: 'all', journals: 'all' },
    )
  }

  get damage(): StateDamage | null {
    return this.#damage
  }

  add(damage: StateDamage): Promise<void> {
    this.#damage = this.#damage === null ? damage : union(this.#damage, damage)
    return this.#write()
  }

  /** After an opening's walk: adds what it found. A record that names nothing asked for the walk, and is settled. */
  async inspected(found: StateDamage | null): Promise<StateDamage | null> {
    if (found !== null) await this.add(found)
    const { damage } = this
    if (damage !== null && damage.storages.length === 0 && damage.journals.length === 0) {
      this.#damage = null
      await this.#write()
    }
    return this.#damage
  }

  heal(what: { storage: StorageId } | { journal: RangeId }): Promise<void> {
    if (this.#damage === null) return Promise.resolve()
    const { storages, journals } = this.#damage
    const left: StateDamage = {
      what: this.#damage.what,
      storages: 'storage' in what ? without(storages, what.storage) : storages,
      journals: 'journal' in what ? without(journals, what.journal) : journals,
    }
    if (left.storages.length === storages.length && left.journals.length === journals.length) return Promise.resolve()
    this.#damage = left.storages.length === 0 && left.journals.length === 0 ? null : left
    return this.#write()
  }

  /** One after the other; each writes what is known when its turn comes. */
  #write(): Promise<void> {
    const written = this.#writing.then(() => this.#replace())
    this.#writing = written.catch(() => {})
    return written
  }

  async #replace(): Promise<void> {
    const path = join(this.#directory, NAME)
    if (this.#damage === null) await rm(path, { force: true })
    else {
      const temporary = `${path}.new`
      const file = await open(temporary, 'w', 0o600)
      try {
        await file.writeFile(printChecked({ ...this.#damage }))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
    }
    await syncDirectory(this.#directory)
  }
}

export function union(a: StateDamage, b: StateDamage): StateDamage {
  return {
    what: a.what.length > 2_000 ? a.what : `${a.what}; ${b.what}`,
    storages: both(a.storages, b.storages),
    journals: both(a.journals, b.journals),
  }
}

function both<T>(a: readonly T[] | 'all', b: readonly T[] | 'all'): readonly T[] | 'all' {
  return a === 'all' || b === 'all' ? 'all' : [...new Set([...a, ...b])]
}

/** 'all' stays: what it named is known only as everything. */
function without<T>(ids: readonly T[] | 'all', gone: T): readonly T[] | 'all' {
  return ids === 'all' ? 'all' : ids.filter((id) => id !== gone)
}

function parsed(bytes: Uint8Array): StateDamage | null {
  const found = parseChecked(bytes)
  if (found === null || typeof found.what !== 'string') return null
  return areIds(found.storages) && areIds(found.journals) ? (found as unknown as StateDamage) : null
}

function areIds(found: unknown): boolean {
  return found === 'all' || (Array.isArray(found) && found.every((id) => Number.isSafeInteger(id) && id >= 0))
}
