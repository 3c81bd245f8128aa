import { stat } from 'node:fs/promises'
import { Cgroup, noCgroup } from './cgroup.js'

/** Why disks can't be slowed down on this machine; null: they can. */
export function noSlowDisks(): Promise<string | null> {
  return noCgroup('blkio')
}

/**
 * Of what the process writes to the disk that holds `path`, at most so many requests a second get there: an fsync takes two or more.
 * Until the returned function is called, or the process ends.
 */
export async function slowDisk(what: {
  pid: number
  path: string
  writesPerSecond: number
}): Promise<() => Promise<void>> {
  const { dev } = await stat(what.path)
  const bound = `${deviceOf(dev)} ${what.writesPerSecond}`
  const group = await Cgroup.make('blkio', { 'blkio.throttle.write_iops_device': bound })
  await group.take(what.pid)
  return () => group.remove()
}

/** Major and minor number, as the kernel packs them. */
export function deviceOf(dev: number): string {
  const bits = BigInt(dev)
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n)
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}
