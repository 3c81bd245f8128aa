/** LevelDB tells an errno only by its text. */
export function isDiskFull(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return true
  if (/No space left on device|Disk quota exceeded/.test(error.message)) return true
  return error.cause instanceof Error && isDiskFull(error.cause)
}
