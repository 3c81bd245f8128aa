import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openNodeFiles } from '../../src/storage/files-node.js'
import type { Files, LogFile } from '../../src/storage/types.js'
import { memoryFiles } from './log-support.js'

interface Implementation {
  readonly name: string
  open(): Promise<{ files: Files; dispose(): Promise<void> }>
}

const implementations: Implementation[] = [
  {
    name: 'a real directory',
    async open() {
      const directory = await mkdtemp(join(tmpdir(), 'holdfast-files-'))
      const files = await openNodeFiles(directory)
      return {
        files,
        async dispose() {
          await files.close()
          await rm(directory, { recursive: true })
        },
      }
    },
  },
  { name: 'memory', open: async () => ({ files: memoryFiles(), dispose: async () => {} }) },
]

function write(file: LogFile, bytes: Uint8Array, at: number): Promise<Error | null> {
  return new Promise((resolve) => file.writeAndSync({ bytes, at }, resolve))
}

describe.each(implementations)('files in $name', ({ open }) => {
  let files: Files
  let dispose: () => Promise<void>

  beforeEach(async () => {
    ;({ files, dispose } = await open())
    await files.makeDirectory('log')
  })

  afterEach(() => dispose())

  it('makes a log file full of zeros, and only under its own name', async () => {
    const file = await files.createLogFile('log/a.seg', 10_000)
    expect(file.size).toBe(10_000)
    expect(file.readSync({ at: 0, length: 10_000 })).toEqual(new Uint8Array(10_000))
    expect(await files.list('log')).toEqual(['a.seg'])
    await file.close()
  })

  it('reads back what was written and synced, through this handle and a new one', async () => {
    const file = await files.createLogFile('log/a.seg', 8192)
    expect(await write(file, new Uint8Array([1, 2, 3]), 4095)).toBeNull()
    expect(file.readSync({ at: 4094, length: 5 })).toEqual(new Uint8Array([0, 1, 2, 3, 0]))
    await file.close()
    const again = await files.openLogFile('log/a.seg')
    expect(again.size).toBe(8192)
    expect(again.readSync({ at: 4095, length: 3 })).toEqual(new Uint8Array([1, 2, 3]))
    await again.close()
  })

  it('writes shared memory as it stands', async () => {
    const file = await files.createLogFile('log/a.seg', 4096)
    const shared = new Uint8Array(new SharedArrayBuffer(4096)).fill(9)
    expect(await write(file, shared.subarray(100, 200), 50)).toBeNull()
    expect(file.readSync({ at: 49, length: 102 })).toEqual(new Uint8Array(102).fill(9, 1, 101))
    await file.close()
  })

  it('gives reads memory of their own', async () => {
    const file = await files.createLogFile('log/a.seg', 4096)
    const bytes = file.readSync({ at: 0, length: 16 })
    expect(bytes.buffer.byteLength).toBe(16)
    await file.close()
  })

  it('reads short behind the end of a file', async () => {
    const file = await files.createLogFile('log/a.seg', 4096)
    expect(file.readSync({ at: 4090, length: 100 })).toHaveLength(6)
    await file.close()
  })

  it('replaces a small file whole', async () => {
    expect(await files.read('node.json')).toBeNull()
    await files.replace('node.json', new Uint8Array([1, 2, 3]))
    await files.replace('node.json', new Uint8Array([4]))
    expect(await files.read('node.json')).toEqual(new Uint8Array([4]))
  })

  it('lists nothing where there is no directory, and no file that was removed', async () => {
    expect(await files.list('nowhere')).toEqual([])
    const file = await files.createLogFile('log/a.seg', 4096)
    await file.close()
    await files.remove('log/a.seg')
    await files.syncDirectory('log')
    expect(await files.list('log')).toEqual([])
  })
})

describe('files in a real directory', () => {
  it('reports a write that the system refuses', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-files-'))
    const files = await openNodeFiles(directory)
    const file = await files.createLogFile('a.seg', 4096)
    await file.close()
    const error = await write(file, new Uint8Array(1), 0)
    expect((error as { code?: string } | null)?.code).toBeDefined()
    await files.close()
    await rm(directory, { recursive: true })
  })
})

describe('files on a disk without room', () => {
  it('tell so before they fill what is left of it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-files-'))
    const files = await openNodeFiles(directory)
    await files.makeDirectory('log')
    await expect(files.createLogFile('log/a.seg', 2 ** 52)).rejects.toHaveProperty('code', 'ENOSPC')
    expect(await files.list('log')).toEqual([])
    await files.close()
    await rm(directory, { recursive: true })
  })
})

describe('files in memory after a power cut', () => {
  it('keep what was synced and any subset of the sectors that were not', async () => {
    const kept = new Set<string>()
    for (let seed = 1; seed <= 300; seed += 1) {
      const files = memoryFiles(seed)
      const file = await files.createLogFile('log/a.seg', 2048)
      await write(file, new Uint8Array(512).fill(1), 0)
      file.writeAndSync({ bytes: new Uint8Array(1536).fill(2), at: 512 }, () => expect.unreachable())
      files.crash()
      const bytes = files.contents('log/a.seg')
      const sectors = [0, 1, 2, 3].map((sector) => bytes.subarray(sector * 512, (sector + 1) * 512))
      for (const sector of sectors) expect(new Set(sector).size).toBe(1)
      expect(sectors[0]![0]).toBe(1)
      kept.add(sectors.map((sector) => sector[0]).join())
    }
    expect(kept.size).toBe(8)
  })

  it('still hold what was written when only the process died, until the power fails', async () => {
    const files = memoryFiles(3)
    const file = await files.createLogFile('log/a.seg', 1024)
    file.writeAndSync({ bytes: new Uint8Array(512).fill(2), at: 0 }, () => expect.unreachable())
    files.kill()
    expect(files.contents('log/a.seg')[0]).toBe(2)
    expect(() => file.readSync({ at: 0, length: 1 })).toThrow('before the crash')
  })

  it('bring back a file whose removal was not synced', async () => {
    const files = memoryFiles()
    await files.createLogFile('log/a.seg', 512)
    await files.remove('log/a.seg')
    expect(await files.list('log')).toEqual([])
    files.crash()
    expect(await files.list('log')).toEqual(['a.seg'])
  })
})
