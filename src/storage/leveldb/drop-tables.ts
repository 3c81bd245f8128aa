import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ByteWriter } from '../codec/bytes.js'
import { writeLogFile } from './log-format.js'
import { type Manifest, Tag } from './manifest.js'
import { syncDirectory } from './sync-files.js'

/**
 * Takes damaged tables out of a closed database: a new MANIFEST, then CURRENT, each synced before the next step, so that a power cut
 * leaves the old or the new. LevelDB removes the files at its next opening. A compaction that met one of them would fail, and every
 * write after it.
 */
export async function dropTables(directory: string, manifest: Manifest, dropped: ReadonlySet<number>): Promise<void> {
  const number = manifest.nextFile
  const name = `MANIFEST-${String(number).padStart(6, '0')}`
  const edit = new ByteWriter()
  edit.varint(Tag.comparator)
  edit.blob(manifest.comparator)
  for (const [tag, value] of [
    [Tag.logNumber, manifest.logNumber],
    [Tag.nextFile, number + 1],
    [Tag.lastSequence, manifest.lastSequence],
  ] as const) {
    edit.varint(tag)
    edit.varint(value)
  }
  for (const table of manifest.tables) {
    if (dropped.has(table.number)) continue
    edit.varint(Tag.newFile)
    edit.varint(table.level)
    edit.varint(table.number)
    edit.varint(table.bytes)
    edit.blob(table.smallest)
    edit.blob(table.largest)
  }
  await writeSynced(join(directory, name), writeLogFile(edit.view()))
  await syncDirectory(directory)
  const temporary = join(directory, `${String(number).padStart(6, '0')}.dbtmp`)
  await writeSynced(temporary, Buffer.from(`${name}\n`, 'latin1'))
  await rename(temporary, join(directory, 'CURRENT'))
  await syncDirectory(directory)
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}
