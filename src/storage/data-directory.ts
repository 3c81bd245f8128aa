import { chmod, mkdir, readdir, rename, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { HoldfastError } from '../base/errors.js'
import type { Metrics } from '../base/ports.js'
import { openNodeFiles } from './files-node.js'
import { IdentityDamaged, readIdentity } from './identity.js'
import { takeLock } from './lock.js'
import type { Files } from './types.js'

/** Version of the whole directory's layout (docs/decisions/0001-disk-layout.md). */
export const DIRECTORY_FORMAT = 1

const FORMAT_FILE = 'FORMAT'
/** What may stand in a directory that is not ours yet. */
const HARMLESS = /^(LOCK.*|lock\.db|FORMAT\.tmp|node\.log|lost\+found|\..*)$/
/** What a node makes in its directory. */
const OURS = /^(CLEAN|node\.json|peers\.json|log|state|state\.lost|snapshots|aside-\d+)$/

export interface DataDirectory {
  readonly files: Files
  /** FORMAT was damaged or missing, or there was no directory: it was written just now. */
  readonly isFormatNew: boolean
  /**
   * Moves those of these files and directories that there are into a new directory `aside-<n>/` and resolves to its name, null where
   * there is none of them. Durable then. Nothing of them may be open.
   */
  putAside(names: readonly string[]): Promise<string | null>
  /** Ends the use of `files` and lets another process have the directory. Log files must be closed before. */
  release(): Promise<void>
}

/**
 * Takes a node's data directory for this process; makes it (mode 0700) where there is none. What it holds is only
 * touched by who holds it.
 *
 * `mendFormat`: a FORMAT file that is damaged or missing is written anew. Default false.
 *
 * Throws INVALID_ARGUMENT when `path` is not a directory, holds something else, or is of a newer format, and
 * NOT_PERMITTED when a live process holds it or the system refuses access.
 */
export async function openDataDirectory(
  path: string,
  options: { mendFormat?: boolean; metrics?: Metrics } = {},
): Promise<DataDirectory> {
  const directory = resolve(path)
  const mend = options.mendFormat ?? false
  const files = await openUnlocked(directory, mend, options.metrics)
  const unlock = await takeLock(directory)
  try {
    const isFormatNew = !(await isFormatKnown(directory, files, mend))
    if (isFormatNew) await writeFormat(files)
    // Not before it is known to be ours: it may have been given by mistake.
    await chmod(directory, 0o700)
    return {
      files,
      isFormatNew,
      putAside: (names) => putAside(directory, files, names),
      async release() {
        await files.close()
        await unlock()
      },
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

async function putAside(directory: string, files: Files, names: readonly string[]): Promise<string | null> {
  const there = await readdir(directory)
  const moving = names.filter((name) => there.includes(name))
  if (moving.length === 0) return null
  const numbers = there.map((name) => Number(/^aside-(\d+)$/.exec(name)?.[1] ?? 0))
  const aside = `aside-${Math.max(0, ...numbers) + 1}`
  await files.makeDirectory(aside)
  for (const name of moving) await rename(join(directory, name), join(directory, aside, name))
  await files.syncDirectory(aside)
  await files.syncDirectory('.')
  return aside
}

async function openUnlocked(directory: string, mend: boolean, metrics?: Metrics): ReturnType<typeof openNodeFiles> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const found = await stat(directory)
    if (!found.isDirectory()) throw notADirectory(directory)
    const files = await openNodeFiles(directory, metrics)
    // It may have been given by mistake: then nothing is made in it, not even a lock.
    await isFormatKnown(directory, files, mend)
    return files
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string }
    if (error instanceof HoldfastError) throw error
    if (code === 'EEXIST' || code === 'ENOTDIR') throw notADirectory(directory)
    const what = `the data directory ${directory} cannot be made or used: ${message}`
    throw new HoldfastError('NOT_PERMITTED', `${what}. Give a directory that belongs to this user`, { cause: error })
  }
}

function notADirectory(directory: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `the data directory ${directory} is not a directory`)
}

/** False: FORMAT is to be written. Writes nothing itself. Throws INVALID_ARGUMENT where the directory is not ours to use. */
async function isFormatKnown(directory: string, files: Files, mend: boolean): Promise<boolean> {
  // Before FORMAT is read: who makes the directory just now, and holds it, makes FORMAT first.
  const names = await readdir(directory)
  const bytes = await files.read(FORMAT_FILE)
  if (bytes === null) {
    refuseForeign(directory, names, mend)
    return false
  }
  const text = Buffer.from(bytes).toString('utf8')
  const format = /^holdfast ([1-9]\d{0,8})\n$/.exec(text)?.[1]
  if (format === undefined) {
    if (mend) return false
    const found = JSON.stringify(text.slice(0, 40))
    const damage = `its file FORMAT is damaged: expected "holdfast ${DIRECTORY_FORMAT}", found ${found}`
    throw invalid(directory, `${damage}. Bring it back, or run ${rejoinCommand(directory)}`)
  }
  if (Number(format) <= DIRECTORY_FORMAT) return true
  const newer = `it is of format ${format}, this program knows up to ${DIRECTORY_FORMAT}`
  if (!(await isOfKnownFormat(files))) throw invalid(directory, `${newer}: start it with the newer version`)
  if (mend) return false
  const damage = `${newer}, and its node.json is of a format that this program wrote: the file FORMAT is damaged`
  throw invalid(directory, `${damage}. Bring it back, or run ${rejoinCommand(directory)}`)
}

/** A layout with a higher number has a node.json with a higher one, too; this one carries a checksum. */
async function isOfKnownFormat(files: Files): Promise<boolean> {
  const identity = await readIdentity(files).catch((error: unknown) => {
    if (error instanceof IdentityDamaged) return null
    throw error
  })
  return identity !== null
}

function refuseForeign(directory: string, names: readonly string[], mend: boolean): void {
  const foreign = names.filter((name) => !HARMLESS.test(name) && !(mend && OURS.test(name)))
  if (foreign.length === 0) return
  const some = foreign.slice(0, 5).join(', ')
  const lacks = `it has no file FORMAT but holds ${some}: give an empty directory, or bring FORMAT back`
  const isOurs = foreign.every((name) => OURS.test(name))
  throw invalid(directory, isOurs ? `${lacks}, or run ${rejoinCommand(directory)}` : lacks)
}

async function writeFormat(files: Files): Promise<void> {
  await files.replace(FORMAT_FILE, new Uint8Array(Buffer.from(`holdfast ${DIRECTORY_FORMAT}\n`, 'utf8')))
}

/** It puts aside what the directory holds: nobody knows of which format that is. */
function rejoinCommand(directory: string): string {
  return `\`holdfast node rejoin --data ${directory}\``
}

function invalid(directory: string, why: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `the data directory ${directory} cannot be used: ${why}`)
}
