import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { HoldfastError } from '../../src/base/errors.js'
import type { Layout } from './layout.js'

/** One `dev` per folder. Returns what gives the folder free again. */
export function lockFolder(layout: Layout): () => void {
  mkdirSync(layout.folder, { recursive: true, mode: 0o700 })
  const mine = `${layout.lockFile}.${process.pid}`
  writeFileSync(mine, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }))
  try {
    for (let attempt = 0; ; attempt += 1) {
      if (tryLink(mine, layout.lockFile)) return () => rmSync(layout.lockFile, { force: true })
      const holder = readHolder(layout.lockFile)
      if (attempt > 0 || (holder !== null && isSameProcess(holder))) throw heldBy(holder, layout)
      rmSync(layout.lockFile, { force: true })
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

interface Holder {
  readonly pid: number
  readonly started: string | null
}

function heldBy(holder: Holder | null, layout: Layout): HoldfastError {
  return new HoldfastError(
    'NOT_PERMITTED',
    `process ${holder?.pid ?? '?'} already runs a dev cluster in ${layout.folder}: stop it with Ctrl-C, or give this one another folder with --data and free ports with --port 0`,
  )
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    return null
  }
}

/** Alive, and not another process that got the same id since. */
function isSameProcess({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return started === null || startOf(pid) === null || started === startOf(pid)
}

/** When a process began, in the kernel's own units; null where there is no /proc. */
function startOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return fields[19] ?? null
  } catch {
    return null
  }
}
