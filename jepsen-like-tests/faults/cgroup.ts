import { access, constants, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
/** A process that was told to leave may take a moment. */
const REMOVE_TRIES = 50
const REMOVE_EVERY_MS = 20

export type Controller = 'cpu' | 'blkio'

let made = 0

/** Why this machine has no such control group to give; null: it has. */
export async function noCgroup(controller: Controller): Promise<string | null> {
  if (process.platform !== 'linux') return 'control groups need Linux'
  if (process.getuid?.() !== 0) return 'control groups need root'
  try {
    await access(join(ROOT, controller, 'cgroup.procs'), constants.W_OK)
    return null
  } catch {
    return `there is no ${join(ROOT, controller)} (control groups of version 1) that could be written`
  }
}

/** Processes that share a bound. */
export class Cgroup {
  readonly #parent: string
  readonly #path: string

  private constructor(controller: Controller) {
    this.#parent = join(ROOT, controller)
    this.#path = join(this.#parent, `holdfast-${process.pid}-${++made}`)
  }

  /** `bounds`: what is written to which of its files. */
  static async make(controller: Controller, bounds: Readonly<Record<string, string>>): Promise<Cgroup> {
    const group = new Cgroup(controller)
    await mkdir(group.#path)
    try {
      for (const [file, bound] of Object.entries(bounds)) await writeFile(join(group.#path, file), bound)
    } catch (error) {
      await group.remove()
      throw error
    }
    return group
  }

  /** With all its threads; returns whether the process was still there. */
  async take(pid: number): Promise<boolean> {
    return moved(pid, this.#path)
  }

  /** Lets everybody go. */
  async remove(): Promise<void> {
    for (let left = REMOVE_TRIES; ; left--) {
      const inside = await readFile(join(this.#path, 'cgroup.procs'), 'utf8')
      for (const pid of inside.split('\n').filter((line) => line !== '')) await moved(Number(pid), this.#parent)
      try {
        return await rmdir(this.#path)
      } catch (error) {
        if (left === 0 || (error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
        await new Promise((resolve) => setTimeout(resolve, REMOVE_EVERY_MS))
      }
    }
  }
}

async function moved(pid: number, group: string): Promise<boolean> {
  try {
    await writeFile(join(group, 'cgroup.procs'), String(pid))
    return true
  } catch (error) {
    // It has ended.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
