import { HoldfastError } from '../../base/errors.js'

/**
 * A table of contents of the log is gone, or what it named: nobody can tell what this node voted for and acknowledged. It must not
 * speak under its replica ids again (decision 0012). Code INTERNAL.
 */
export class LogForgot extends HoldfastError {
  override readonly name = 'LogForgot'
  /** Of the segment, in the data directory. */
  readonly path: string
  /** In bytes. */
  readonly offset: number

  constructor({ path, offset, what }: { path: string; offset: number; what: string }) {
    super(
      'INTERNAL',
      `the log is damaged: ${path} at offset ${offset} ${what}. It may have held acknowledged writes, so this node does not ` +
        'start on it.',
    )
    this.path = path
    this.offset = offset
  }
}
