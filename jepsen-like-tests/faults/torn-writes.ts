import { type FileHandle, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoopDisk } from './loop-disk.js'

const SECTOR_BYTES = 512
/** Files that grow by what is appended and synced: a node's log, and LevelDB's. */
const APPENDED = /^(log\/\d+\.seg|state\/\d+\.log)$/

export interface Torn {
  /** Whether the cut took effect. */
  readonly wasCut: boolean
  /** Sectors that were written and not synced: of them so many reached the disk. */
  readonly kept: number
  readonly lost: number
}

/**
 * Cuts the power of a disk while writes were on their way: of the sectors that were not synced, some are there afterwards, in no
 * order. Nothing may have files of it open any more.
 */
export async function cutPowerTearing(disk: LoopDisk, data: string, random: () => number): Promise<Torn> {
  const written = await contentsOf(data)
  const wasCut = await disk.cutPower()
  let kept = 0
  let lost = 0
  for (const [path, bytes] of written) {
    const file = await open(join(data, path), 'r+').catch((error: NodeJS.ErrnoException) => {
      // Its very name was not synced.
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (file === null) continue
    try {
      const sectors = differing(bytes, await file.readFile())
      const chosen = sectors.filter(() => random() < 0.5)
      await write(file, bytes, chosen)
      kept += chosen.length
      lost += sectors.length - chosen.length
    } finally {
      await file.close()
    }
  }
  return { wasCut, kept, lost }
}

async function contentsOf(data: string): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>()
  for (const folder of ['log', 'state']) {
    for (const name of await readdir(join(data, folder)).catch(() => [])) {
      const path = `${folder}/${name}`
      if (APPENDED.test(path)) contents.set(path, await readFile(join(data, path)))
    }
  }
  return contents
}

/** Where sectors begin that differ from what is on the disk. */
export function differing(written: Buffer, onDisk: Buffer): number[] {
  const sectors: number[] = []
  for (let at = 0; at < written.length; at += SECTOR_BYTES) {
    const end = at + SECTOR_BYTES
    if (!written.subarray(at, end).equals(onDisk.subarray(at, end))) sectors.push(at)
  }
  return sectors
}

async function write(file: FileHandle, bytes: Buffer, sectors: readonly number[]): Promise<void> {
  for (const at of sectors) await file.write(bytes, at, Math.min(SECTOR_BYTES, bytes.length - at), at)
  await file.sync()
}
