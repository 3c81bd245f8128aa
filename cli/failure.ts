import { CommanderError } from 'commander'
import { errorCatalogue, HoldfastError } from '../src/base/errors.js'
import type { Terminal } from './terminal.js'

export const EXIT_DONE = 0
export const EXIT_NOT_FOUND = 1
export const EXIT_USAGE = 2
export const EXIT_UNAVAILABLE = 3

/** Says what went wrong and returns the exit code for it. */
export function reportFailure(terminal: Terminal, error: unknown, json: boolean): number {
  // Commander has already printed its message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE
  if (error instanceof HoldfastError) {
    terminal.note(
      json ? `${JSON.stringify({ error: errorToJson(error) })}\n` : `error: ${error.message} (${error.code})\n`,
    )
    return errorCatalogue[error.code].exit
  }
  const message = error instanceof Error ? error.message : String(error)
  if (isFileError(error)) {
    terminal.note(`error: ${message}\n`)
    return EXIT_USAGE
  }
  terminal.note(`error: ${error instanceof Error ? (error.stack ?? message) : message}\n`)
  return errorCatalogue.INTERNAL.exit
}

function errorToJson(error: HoldfastError): Record<string, unknown> {
  const { code, message, mayHaveBeenApplied, retryAfterMs } = error
  return { code, message, mayHaveBeenApplied, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** A file or folder named by the caller that cannot be read or written. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'path' in error
}
