import { type FileHandle, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { HoldfastError } from '../base/errors.js'

const NAME = 'LOCK'
/** Not `lock`, which is `LOCK` where names have no case (macOS). */
const DATABASE = 'lock.db'

/** The directories that this process holds, by device and inode. */
const heldHere = new Map<string, FileHandle>()

/**
 * Takes a directory for this process. What decides is a lock of the kernel on a file, which ends with the process in whatever way
 * that ends, and which a process of another container meets too. Node has no such locks, LevelDB takes one: that of an empty
 * database in `lock.db/`. The file `LOCK` only tells who holds it, by process id and start time. Returns the function that lets go.
 *
 * Throws NOT_PERMITTED, naming the process, while it lives, and when the system refuses access.
 */
export async function takeLock(directory: string): Promise<() => Promise<void>> {
  const name = join(directory, NAME)
  const leave = await enter(directory)
  let database: ClassicLevel | null = null
  const release = async () => {
    await database?.close()
    await leave()
  }
  try {
    database = await openDatabase(join(directory, DATABASE))
    await writeFile(name, `${process.pid} ${await startTime(process.pid)}\n`, { mode: 0o600 })
    return () => rm(name, { force: true }).finally(release)
  } catch (error) {
    await release()
    throw isLocked(error as Error) ? inUse(directory, await holderOf(name)) : refused(directory, error as Error)
  }
}

/**
 * A lock of the kernel keeps out other processes only, and a process loses it as soon as it closes any handle of the file: LevelDB,
 * asked a second time, opens and closes it before it says no. So it is not asked by who has it.
 */
async function enter(directory: string): Promise<() => Promise<void>> {
  // Open until it is left: else its inode may become another directory's.
  const handle = await open(directory, 'r')
  const { dev, ino } = await handle.stat({ bigint: true })
  const key = `${dev}:${ino}`
  if (heldHere.has(key)) {
    await handle.close()
    throw inUse(directory, `process ${process.pid}`)
  }
  heldHere.set(key, handle)
  return async () => {
    heldHere.delete(key)
    await handle.close()
  }
}

/** Nobody ever needs what is in it: where it is damaged, it is made anew. Throws what LevelDB says. */
async function openDatabase(path: string): Promise<ClassicLevel> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  try {
    return await openLevel(path)
  } catch (error) {
    if (isLocked(error as Error)) throw error
    await clear(path)
    return await openLevel(path)
  }
}

async function openLevel(path: string): Promise<ClassicLevel> {
  const level = new ClassicLevel(path)
  await level.open().catch((error: Error) => {
    throw error.cause ?? error
  })
  return level
}

/** A file system that has no locks is told by the same code. */
function isLocked({ code, message }: NodeJS.ErrnoException): boolean {
  return code === 'LEVEL_LOCKED' && /temporarily unavailable|Permission denied|already held/.test(message)
}

/**
 * Another process may have taken the lock since, and lose files here: it holds on to the inode of `LOCK` and reads nothing else any
 * more. So all may go but `LOCK`, in whose place a third process would lock a new file; and DestroyDB removes that one, too.
 */
async function clear(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (name !== 'LOCK') await rm(join(path, name), { recursive: true, force: true })
  }
}

/** By `LOCK`, which may be of an earlier holder as long as this one has not written its own. */
async function holderOf(name: string): Promise<string> {
  const [, pid, start] = /^(\d{1,10}) (\S+)\n$/.exec((await readOrNull(name)) ?? '') ?? []
  if (pid === undefined) return 'another process'
  if (Number(pid) !== process.pid && (await startTime(Number(pid))) === start) return `process ${pid}`
  return `a process that is not seen from here, of another container or machine (it calls itself process ${pid})`
}

/**
 * What tells a process from another one of the same id: the machine's boot and the process's start within it (field 22
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

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}

function inUse(directory: string, holder: string): HoldfastError {
  const what = `the data directory ${directory} is in use by ${holder}`
  return new HoldfastError('NOT_PERMITTED', `${what}: stop that process, or give another directory`)
}

function refused(directory: string, cause: Error): HoldfastError {
  const what = `the data directory ${directory} cannot be written or locked: ${cause.message}`
  const advice = 'Give a directory that belongs to this user, on a file system that has locks'
  return new HoldfastError('NOT_PERMITTED', `${what}. ${advice}`, { cause })
}
