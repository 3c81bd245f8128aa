import { DamagedError } from '../codec/errors.js'
import type { StateDamage } from '../types.js'
import { union } from './damage-file.js'
import { damageOf } from './damaged-ids.js'
import { dropTables } from './drop-tables.js'
import { checkLogs } from './log-check.js'
import { type LiveTable, type Manifest, numbered, readManifest } from './manifest.js'
import { TableFile } from './table-file.js'
import { walkTable } from './table-walk.js'

export interface Inspection {
  /** Why the state is lost; null: it is not. */
  readonly lost: string | null
  readonly damage: StateDamage | null
  /** Takes the damaged tables out. The damage has to be on record before. */
  readonly repair: () => Promise<void>
  /** Tables walked, by number. */
  readonly walked: readonly number[]
}

/**
 * Looks at the files of a closed database, before LevelDB replays its log files into tables and compacts what it finds: both give
 * damage new, right checksums.
 */
export async function inspect(
  directory: string,
  { witness, bytesMax, highest }: { witness: Uint8Array | null; bytesMax: number; highest: number },
): Promise<Inspection> {
  try {
    const manifest = await readManifest(directory)
    if (manifest === null) return lost((await numbered(directory, '.ldb')).length > 0 ? 'CURRENT is gone' : null)
    const { found, holes } = await checkLogs(directory, manifest, witness)
    if (holes.length > 0) return lost(`${found ? '' : 'perhaps '}${holes.slice(0, 3).join(', ')}`)
    const { bad, walked } = await walkTables(directory, manifest, bytesMax)
    if (bad.size === 0) return { ...lost(null), walked }
    const damage = [...bad].map(([table, what]) => damageOf(table, what, highest)).reduce(union)
    const dropped = new Set([...bad.keys()].map(({ number }) => number))
    return { lost: null, damage, walked, repair: () => dropTables(directory, manifest, dropped) }
  } catch (error) {
    if (error instanceof DamagedError) return lost(error.message)
    throw error
  }
}

function lost(what: string | null): Inspection {
  return { lost: what, damage: null, walked: [], repair: () => Promise.resolve() }
}

/** Newest first: up to about `bytesMax`. Sizes are told for all of them: a table that is cut short is no table. */
async function walkTables(
  directory: string,
  manifest: Manifest,
  bytesMax: number,
): Promise<{ bad: Map<LiveTable, string>; walked: number[] }> {
  const bad = new Map<LiveTable, string>()
  const walked: number[] = []
  let bytes = 0
  for (const table of manifest.tables.toSorted((a, b) => b.number - a.number)) {
    if (bytes >= bytesMax) break
    const file = await TableFile.open(directory, table)
    if (file === null) throw new DamagedError(`table ${table.number} is gone`)
    const what = await walkTable(table, file).finally(() => file.close())
    if (what !== null) bad.set(table, what)
    walked.push(table.number)
    bytes += table.bytes
  }
  return { bad, walked }
}
