import { execFile } from 'node:child_process'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const FILLER = 'filler'
const BLOCK_BYTES = 4096

/** Takes all room of the file system that is mounted there. Resolves to what gives it back. */
export async function fillDisk(mountPoint: string): Promise<() => Promise<void>> {
  const filler = join(mountPoint, FILLER)
  let at = 0
  try {
    // Not all that is free can be had at once: some of it is for the file system's own tables.
    for (let bytes = await freeBytes(mountPoint); bytes >= BLOCK_BYTES; ) {
      try {
        await run('fallocate', ['--offset', String(at), '--length', String(bytes), filler])
        at += bytes
        bytes = Math.min(bytes, await freeBytes(mountPoint))
      } catch {
        bytes = Math.floor(bytes / 2)
      }
    }
  } catch (error) {
    await rm(filler, { force: true })
    throw error
  }
  return () => rm(filler, { force: true })
}

export async function freeBytes(mountPoint: string): Promise<number> {
  const { bavail, bsize } = await statfs(mountPoint)
  return bavail * bsize
}
