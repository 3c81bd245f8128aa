/** What a sector held that cannot be read any more is damage, as a wrong checksum is. */
export function isUnreadable(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO'
}
