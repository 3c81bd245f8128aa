import { describe, expect, it } from 'vitest'
import { LogForgot } from '../../src/storage/log/forgot.js'
import type { Files, LogFile } from '../../src/storage/types.js'
import { append, entriesItem, entry, hardState, hardStateItem, memoryFiles, nodeItem, openLog } from './log-support.js'

/** Counts what is open. */
function counting(inner: Files): { files: Files; open: () => number } {
  const open = new Set<LogFile>()
  const watched = (file: LogFile): LogFile => {
    const seen: LogFile = {
      size: file.size,
      writeAndSync: (write, done) => file.writeAndSync(write, done),
      readSync: (range) => file.readSync(range),
      async close() {
        open.delete(seen)
        await file.close()
      },
    }
    open.add(seen)
    return seen
  }
  const files: Files = {
    list: (directory) => inner.list(directory),
    makeDirectory: (directory) => inner.makeDirectory(directory),
    createLogFile: async (path, size) => watched(await inner.createLogFile(path, size)),
    openLogFile: async (path) => watched(await inner.openLogFile(path)),
    read: (path) => inner.read(path),
    replace: (path, bytes) => inner.replace(path, bytes),
    remove: (path) => inner.remove(path),
    syncDirectory: (directory) => inner.syncDirectory(directory),
  }
  return { files, open: () => open.size }
}

describe('a log that cannot be opened', () => {
  it('leaves no file open, whether it forgot something or cannot be written', async () => {
    const memory = memoryFiles()
    const log = await openLog(memory)
    await append(log, [nodeItem({}), entriesItem(1, [entry(1, 1)])])
    await append(log, [hardStateItem(1, hardState(2, null, 1))])
    await log.close()
    const { files, open } = counting(memory)
    const whole = await openLog(files)
    expect(open()).toBeGreaterThan(0)
    await whole.close()
    expect(open()).toBe(0)
    memory.failure = new Error('EIO')
    await expect(openLog(files)).rejects.toThrow('cannot write')
    expect(open()).toBe(0)
    memory.failure = null
    memory.contents('log/0000000001.seg').fill(7, 0, 8192)
    await expect(openLog(files)).rejects.toThrow(LogForgot)
    expect(open()).toBe(0)
  })
})
