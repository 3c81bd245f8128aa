import type { Files } from './types.js'

const FILE = 'CLEAN'
const TOP = '.'

/**
 * Whether the process before this one left the directory in order. Its mark is gone, durably, when this resolves: whatever
 * happens from then on, the next start does not find it unless `writeCleanMark` was reached.
 */
export async function takeCleanMark(files: Files): Promise<boolean> {
  const mark = await files.read(FILE)
  if (mark === null) return false
  await files.remove(FILE)
  await files.syncDirectory(TOP)
  return true
}

/** For the very end: the log and the state are closed. */
export async function writeCleanMark(files: Files): Promise<void> {
  await files.replace(FILE, new Uint8Array(Buffer.from('this node was stopped in order\n')))
}
