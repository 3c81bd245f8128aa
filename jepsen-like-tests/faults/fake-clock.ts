import { readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const LIBRARIES = '/usr/lib'
const NAME = 'libfaketimeMT.so.1'

/** Where libfaketime is; null: it is not installed. */
export async function libfaketime(): Promise<string | null> {
  if (process.platform !== 'linux') return null
  for (const entry of await readdir(LIBRARIES)) {
    const folder = join(LIBRARIES, entry, 'faketime')
    const names: string[] = await readdir(folder).catch(() => [])
    if (names.includes(NAME)) return join(folder, NAME)
  }
  return null
}

/** The wall clock of one process, told by a file that it reads at every look. Its monotonic clock is left alone. */
export class FakeClock {
  readonly #file: string
  readonly #library: string

  private constructor(file: string, library: string) {
    this.#file = file
    this.#library = library
  }

  /** A clock that goes right. `library`: what `libfaketime` told. */
  static async make(file: string, library: string): Promise<FakeClock> {
    const clock = new FakeClock(file, library)
    await clock.heal()
    return clock
  }

  /** For the process that is to live by it. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  jump(seconds: number): Promise<void> {
    return this.#write(`${seconds < 0 ? '' : '+'}${seconds}`)
  }

  /** From its process's start on: so it also jumps. */
  rate(factor: number): Promise<void> {
    return this.#write(`+0 x${factor}`)
  }

  heal(): Promise<void> {
    return this.jump(0)
  }

  /** Never half written: an empty file would stop the clock's reader. */
  async #write(text: string): Promise<void> {
    await writeFile(`${this.#file}.new`, `${text}\n`)
    await rename(`${this.#file}.new`, this.#file)
  }
}
