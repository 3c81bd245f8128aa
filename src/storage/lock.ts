import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HoldfastError } from '../base/errors.js'

const LOCK = 'LOCK'
const ATTEMPTS = 5

/**
 * Takes `LOCK` in a directory for this process. The file names the process by id and start time, so that the lock of a
 * process that died is taken over, also when its id was given to another one since. Returns the function that lets go.
 *
 * Node has no file locks. Two processes that find the same stale lock at the same instant are told apart by looking
 * again at what was moved away; LevelDB's own lock in state/ stands behind this one.
 *
 * Throws NOT_PERMITTED, naming the process, while it lives.
 */
export async function takeLock(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK)
  const own = `${path}.${randomUUID()}.tmp`
  const text = `${process.pid} ${await startTime(process.pid)}\n`
  await write(own, text, directory)
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (await linked(own, path)) return () => release(path, text)
      const holder = await readOrNull(path)
      if (holder === null) continue
      if (await isHeld(holder)) throw held(directory, holder)
      await moveStaleAway(path, holder)
    }
    throw new HoldfastError('NOT_PERMITTED', `the data directory ${directory} is being taken by other processes`)
  } finally {
    await rm(own, { force: true })
  }
}

async function release(path: string, text: string): Promise<void> {
  if ((await readOrNull(path)) === text) await rm(path, { force: true })
}

/** Between reading a stale lock and moving it, another process may have put its own there: that one goes back. */
async function moveStaleAway(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.stale`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await readOrNull(aside)) !== stale) await linked(aside, path)
  await rm(aside, { force: true })
}

async function isHeld(holder: string): Promise<boolean> {
  const match = /^(\d{1,10}) (\S+)\n$/.exec(holder)
  if (match === null) return false
  const pid = Number(match[1])
  return isAlive(pid) && (await startTime(pid)) === match[2]
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It lives, but is another user's.
    return (error as { code?: unknown }).code === 'EPERM'
  }
}

/**
 * What tells a process from a later one of the same id: the machine's boot and the process's start within it (field 22
 * of /proc/pid/stat). '-' where the system does not say (macOS): the id alone decides then.
 */
async function startTime(pid: number): Promise<string> {
  const stat = await readOrNull(`/proc/${pid}/stat`)
  const boot = await readOrNull('/proc/sys/kernel/random/boot_id')
  if (stat === null || boot === null) return '-'
  // The second field is the program's name in brackets, and may hold anything.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  return `${boot.trim()}:${ticks}`
}

function held(directory: string, holder: string): HoldfastError {
  const pid = holder.split(' ')[0]
  return new HoldfastError(
    'NOT_PERMITTED',
    `the data directory ${directory} is in use by process ${pid}: stop that process, or give another directory`,
  )
}

/** Whether `target` is ours now; false when something stands there. */
async function linked(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target)
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EEXIST') return false
    throw error
  }
}

async function write(path: string, text: string, directory: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 })
  } catch (error) {
    const what = `the data directory ${directory} cannot be written: ${(error as Error).message}`
    throw new HoldfastError('NOT_PERMITTED', `${what}. Give a directory that belongs to this user`, { cause: error })
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}
