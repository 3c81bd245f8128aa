import { execFile } from 'node:child_process'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const CANARY = Buffer.alloc(64 * 1024, 'canary;')

/** Why this machine has no disks whose power can be cut; null: it has. */
export async function noLoopDisks(): Promise<string | null> {
  if (process.platform !== 'linux') return 'loop mounts need Linux'
  if (process.getuid?.() !== 0) return 'loop mounts need root'
  try {
    await run('mkfs.ext4', ['-V'])
    await run('losetup', ['--version'])
    return null
  } catch (error) {
    return `mkfs.ext4 or losetup is missing: ${(error as Error).message}`
  }
}

/**
 * An ext4 file system of its own in a file. Nothing but fsync brings data to that file soon (`commit=300`), so a copy of the file
 * holds what a disk would hold after its power was cut: all that was synced, and of the rest what happened to be written back.
 */
export class LoopDisk {
  readonly mountPoint: string
  readonly #directory: string
  readonly #name: string
  /** Counts power cuts: the image of each life has a name of its own. */
  #life = 0
  /** Counts canaries, in the same way. */
  #canaries = 0
  #isMounted = false
  #isRemoved = false
  /** What is being done to it: a clean-up waits for a cut that is half done. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(directory: string, name: string) {
    this.#directory = directory
    this.#name = name
    this.mountPoint = join(directory, name)
  }

  /** A fresh, empty disk, mounted. */
  static async make(options: { directory: string; name: string; mebibytes: number }): Promise<LoopDisk> {
    const disk = new LoopDisk(options.directory, options.name)
    await mkdir(disk.mountPoint, { recursive: true })
    const file = await open(disk.#image, 'w')
    await file.truncate(options.mebibytes * 1024 * 1024)
    await file.close()
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', disk.#image])
    await disk.#mount()
    return disk
  }

  /**
   * Power off and on again. Nothing may have files of it open any more. Returns whether unsynced data was really lost: a canary
   * written by `arm` and never synced is gone, and the synced one is whole (else the cut proves nothing).
   */
  cutPower(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#isRemoved) throw new Error('the disk is gone')
      const before = this.#image
      this.#life++
      await run('cp', ['--sparse=always', before, this.#image])
      await this.#unmount()
      await rm(before)
      await this.#mount()
      return (
        (await this.#hasCanary(`synced.${this.#canaries}`)) && !(await this.#hasCanary(`unsynced.${this.#canaries}`))
      )
    })
  }

  /** Lays out what shows whether a cut took effect. */
  async arm(): Promise<void> {
    // Names that never were: ext4 writes at once what takes the place of an older file.
    const number = ++this.#canaries
    const file = await open(this.#canary(`synced.${number}`), 'wx')
    await file.writeFile(CANARY)
    await file.sync()
    await file.close()
    await writeFile(this.#canary(`unsynced.${number}`), CANARY, { flag: 'wx' })
  }

  remove(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isRemoved = true
      await this.#unmount()
      await rm(this.#image, { force: true })
    })
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action)
    this.#last = result.catch(() => {})
    return result
  }

  async #unmount(): Promise<void> {
    if (!this.#isMounted) return
    await run('umount', [this.mountPoint])
    this.#isMounted = false
  }

  get #image(): string {
    return join(this.#directory, `${this.#name}.${this.#life}.img`)
  }

  /** `discard`: what is freed leaves the image, so that copies stay small. */
  async #mount(): Promise<void> {
    await run('mount', ['-o', 'loop,commit=300,discard', this.#image, this.mountPoint])
    this.#isMounted = true
  }

  #canary(name: string): string {
    return join(this.mountPoint, name)
  }

  async #hasCanary(name: string): Promise<boolean> {
    try {
      return (await readFile(this.#canary(name))).equals(CANARY)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
  }
}
