import { execFile } from 'node:child_process'
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fillDisk } from './disk-full.js'
import { hangDisk, noFreezing } from './disk-hang.js'
import { noLoopDisks } from './loop-disk.js'

const run = promisify(execFile)

const BLOCK_BYTES = 4096
const PIECE_BYTES = 4 * 1024 * 1024
/** What tmpfs takes beside the image. */
const SPARE_BYTES = 1024 * 1024

/** Why this machine has no disks that lose what is written; null: it has. */
export async function noLosingDisks(): Promise<string | null> {
  const lacking = (await noLoopDisks()) ?? (await noFreezing())
  if (lacking !== null) return lacking
  try {
    await run('filefrag', ['-V'])
    return null
  } catch (error) {
    return `filefrag is missing: ${(error as Error).message}`
  }
}

/** Of a file, in bytes of the disk's image. */
interface Extent {
  readonly at: number
  readonly length: number
}

/**
 * An ext4 file system on an image in memory, that can be made to lose what is written to chosen files: the first fsync fails, later
 * ones succeed, reads tell what was written as long as it is cached, and on the disk it is not. (The zeros that those files hold are taken
 * from the image, and the memory that they gave back is filled: what is written there has no place.)
 */
export class LosingDisk {
  readonly mountPoint: string
  readonly #memory: string
  #isRemoved = false

  private constructor(directory: string, name: string) {
    this.mountPoint = join(directory, name)
    this.#memory = join(directory, `${name}.memory`)
  }

  /** A fresh, empty disk, mounted. */
  static async make(options: { directory: string; name: string; mebibytes: number }): Promise<LosingDisk> {
    const disk = new LosingDisk(options.directory, options.name)
    await disk.#mount(options.mebibytes * 1024 * 1024)
    return disk
  }

  /**
   * From now on what is written to the zeros of the files in `folder` is lost. Nobody may write there meanwhile. Resolves to what ends
   * it: what was lost stays lost.
   */
  async lose(folder: string): Promise<() => Promise<void>> {
    const names = await readdir(folder)
    const thaw = await hangDisk(this.mountPoint)
    try {
      for (const name of names) for (const extent of await extentsOf(join(folder, name))) await this.#dig(extent)
      return await fillDisk(this.#memory)
    } finally {
      await thaw()
    }
  }

  /** Nothing is cached any more: reads tell what the disk has. Nothing may have files of it open. */
  async forget(): Promise<void> {
    await run('umount', [this.mountPoint])
    await this.#mountImage()
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return
    this.#isRemoved = true
    await run('umount', [this.mountPoint])
    await run('umount', [this.#memory])
    await rm(this.#memory, { recursive: true })
  }

  /** Block by block: `fallocate --dig-holes` takes the block behind the extent, too, whatever it holds (util-linux 2.38). */
  async #dig({ at, length }: Extent): Promise<void> {
    const image = await open(this.#image, 'r')
    try {
      for (let done = 0; done < length; done += PIECE_BYTES) {
        const { buffer, bytesRead } = await image.read(Buffer.alloc(Math.min(PIECE_BYTES, length - done)), {
          position: at + done,
        })
        for (const zeros of zerosOf(buffer.subarray(0, bytesRead))) {
          const [offset, bytes] = [String(at + done + zeros.at), String(zeros.length)]
          await run('fallocate', ['--punch-hole', '--offset', offset, '--length', bytes, this.#image])
        }
      }
    } finally {
      await image.close()
    }
  }

  get #image(): string {
    return join(this.#memory, 'disk.img')
  }

  /** All of the image has its place in memory, so that nothing else can get lost. */
  async #mount(bytes: number): Promise<void> {
    await mkdir(this.mountPoint, { recursive: true })
    await mkdir(this.#memory, { recursive: true })
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes + SPARE_BYTES}`, 'tmpfs', this.#memory])
    await (await open(this.#image, 'w')).close()
    await run('fallocate', ['--length', String(bytes), this.#image])
    // In blocks as large as the memory's pages: a write of which a part has a place is told as one that succeeded (kernel 6.18, loop).
    const blocks = ['-b', String(BLOCK_BYTES)]
    await run('mkfs.ext4', ['-q', '-F', '-m', '0', ...blocks, '-E', 'nodiscard', '-O', '^has_journal', this.#image])
    await this.#mountImage()
  }

  async #mountImage(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.mountPoint])
  }
}

/** Where in its file system the file lies, as `filefrag` tells it, which needs no write. */
async function extentsOf(path: string): Promise<Extent[]> {
  const { stdout } = await run('filefrag', ['-e', `-b${BLOCK_BYTES}`, path])
  return readExtents(stdout)
}

/** Whole blocks of zeros, in as few runs as there are. */
export function zerosOf(bytes: Buffer): Extent[] {
  const none = Buffer.alloc(BLOCK_BYTES)
  const runs: { at: number; length: number }[] = []
  for (let at = 0; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
    if (!bytes.subarray(at, at + BLOCK_BYTES).equals(none)) continue
    const last = runs.at(-1)
    if (last !== undefined && last.at + last.length === at) last.length += BLOCK_BYTES
    else runs.push({ at, length: BLOCK_BYTES })
  }
  return runs
}

/** Lines as `   0:        0..    8191:      34816..     43007:   8192:             last,eof`. */
export function readExtents(text: string): Extent[] {
  return [...text.matchAll(/^\s*\d+:\s*\d+\.\.\s*\d+:\s*(\d+)\.\.\s*\d+:\s*(\d+):/gm)].map(([, at, length]) => {
    return { at: Number(at) * BLOCK_BYTES, length: Number(length) * BLOCK_BYTES }
  })
}
