import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** What a state sync does to files. Tests put a recording in its place. */
export interface LevelSyncer {
  syncData(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
}

export const realSyncer: LevelSyncer = { syncData, syncDirectory }

/**
 * LevelDB's own `sync: true` syncs only its newest log file: a memtable that was switched and is not yet a table would
 * be lost. So: all log files that are there (one that has gone was turned into a table, which LevelDB syncs), then the
 * directory that names them.
 */
export async function syncLogFiles(directory: string, { syncData, syncDirectory }: LevelSyncer): Promise<void> {
  const names = await readdir(directory)
  await Promise.all(names.filter((name) => name.endsWith('.log')).map((name) => syncData(join(directory, name))))
  await syncDirectory(directory)
}

async function syncData(path: string): Promise<void> {
  let file: FileHandle
  try {
    file = await open(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
