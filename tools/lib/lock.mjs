import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

// Process ids are used again, in containers quickly: no install and build takes longer than this.
const HELD_MS_MAX = 20 * 60_000

/** Runs `action` while holding a lock file that names our process; waits for another's, takes over a dead one's. */
export async function withLock(path, action) {
  mkdirSync(dirname(path), { recursive: true })
  await acquire(path)
  const release = () => rmSync(path, { force: true })
  process.once('exit', release)
  try {
    return await action()
  } finally {
    process.off('exit', release)
    release()
  }
}

async function acquire(path) {
  const mine = `${path}.${process.pid}`
  let announced = false
  writeFileSync(mine, String(process.pid))
  try {
    for (;;) {
      // A link either appears whole, with the process id in it, or not at all.
      if (tryLink(mine, path)) return
      const holder = holderOf(path)
      if (holder !== null && !isHeld({ path, holder })) {
        removeStale({ path, holder })
        continue
      }
      if (!announced) console.error(`waiting for process ${holder ?? '?'}, which is installing or building here`)
      announced = true
      await sleep(200)
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

function tryLink(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function holderOf(path) {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

/** Renames first: of two that saw the same dead holder, one moves it away, and neither deletes a fresh lock. */
function removeStale({ path, holder }) {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (error.code === 'ENOENT') return
    throw error
  }
  if (holderOf(aside) !== holder) tryLink(aside, path)
  rmSync(aside, { force: true })
}

function isHeld({ path, holder }) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return isAlive(holder) && (stat === undefined || Date.now() - stat.mtimeMs < HELD_MS_MAX)
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
