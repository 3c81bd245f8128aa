import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** Of what a process printed, the part that is read for its last words. */
const TAIL_BYTES = 64 * 1024

/** How a process ended: with an exit code, or by a signal. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** An end that nobody here asked for, or not in that way. */
export interface OwnEnd {
  /** For a person. */
  readonly what: string
  /** Why, in the node's words: its last error with its code in brackets. Just the name of a signal that it did not send itself. */
  readonly said: string
  /** Of performance.now(). */
  readonly atMs: number
}

/** What a process that ended was told, and where in its log it began. */
export interface EndOptions {
  /** null: nothing. */
  readonly asked: 'SIGKILL' | 'SIGTERM' | null
  readonly logFile: string
  readonly fromByte: number
}

/** null: it ended as it was told. */
export function ownEnd(ended: Ended, { asked, logFile, fromByte }: EndOptions): OwnEnd | null {
  if (asked === 'SIGKILL' ? ended.signal === asked : asked === 'SIGTERM' && ended.code === 0) return null
  const lines = linesOf(logFile, fromByte)
  // One that was just started listens to no signal yet, and has printed nothing.
  if (asked === 'SIGTERM' && ended.signal === asked && lines.length === 0) return null
  const how = ended.signal ?? `code ${ended.code}`
  // A node that must not go on kills itself or ends with a code; another signal, and an abort, came over it.
  const isChosen = ended.signal === 'SIGKILL' || (ended.code !== null && ended.code > 0 && ended.code < 128)
  const said = isChosen ? (lastError(lines) ?? lines.at(-1) ?? how) : how
  const told = asked === null ? 'ended by itself' : `was told to end by ${asked} and did not end so`
  return { what: `${told}: ${how}${said === how ? '' : `: ${said}`}`, said, atMs: performance.now() }
}

/** The message of the last error in these lines of a node's log, with its code in brackets. null: there is none. */
export function lastError(lines: readonly string[]): string | null {
  for (const line of lines.toReversed()) {
    try {
      const { level, msg, code } = JSON.parse(line) as { level?: unknown; msg?: unknown; code?: unknown }
      if (level === 'error' && typeof msg === 'string') return typeof code === 'string' ? `${msg} (${code})` : msg
    } catch {
      // Printed by Node, or by a library.
    }
  }
  return null
}

function linesOf(logFile: string, fromByte: number): string[] {
  const file = openSync(logFile, 'r')
  try {
    const { size } = fstatSync(file)
    const from = Math.max(fromByte, size - TAIL_BYTES)
    const bytes = Buffer.alloc(Math.max(0, size - from))
    readSync(file, bytes, 0, bytes.length, from)
    return bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
  } finally {
    closeSync(file)
  }
}
