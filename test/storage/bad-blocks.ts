import { BLOCK_BYTES } from '../../src/storage/log/layout.js'
import type { Files, LogFile } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'

/** A block of a segment. */
export interface Block {
  readonly path: string
  readonly at: number
}

/** A disk of which some blocks cannot be read, until they are written. */
export class BadBlocks {
  readonly #bad = new Set<string>()
  readonly files: Files

  constructor(memory: MemoryFiles, blocks: readonly Block[]) {
    this.spoil(blocks)
    const files = memory.mount()
    const openLogFile = async (path: string): Promise<LogFile> => this.#over(path, await files.openLogFile(path))
    const remove = (path: string): Promise<void> => {
      for (const block of this.#bad) if (block.startsWith(path)) this.#bad.delete(block)
      return files.remove(path)
    }
    this.files = { ...files, openLogFile, remove }
  }

  /** Those that still cannot be read. */
  get left(): string[] {
    return [...this.#bad]
  }

  spoil(blocks: readonly Block[]): void {
    for (const { path, at } of blocks) this.#bad.add(`${path} ${at}`)
  }

  #over(path: string, file: LogFile): LogFile {
    return {
      size: file.size,
      close: () => file.close(),
      readSync: ({ at, length }) => {
        const first = at - (at % BLOCK_BYTES)
        for (let block = first; block < at + length; block += BLOCK_BYTES) {
          if (!this.#bad.has(`${path} ${block}`)) continue
          throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
        }
        return file.readSync({ at, length })
      },
      writeAndSync: (write, done) => {
        const end = write.at + write.bytes.length
        for (let block = write.at; block + BLOCK_BYTES <= end; block += BLOCK_BYTES)
          this.#bad.delete(`${path} ${block}`)
        file.writeAndSync(write, done)
      },
    }
  }
}
