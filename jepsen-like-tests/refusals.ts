import { lastError } from './ends.js'
import { type NodeProcess, runCli } from './processes.js'

const COMMAND = /holdfast (node rejoin[^"'`\\]*)/
/** Nobody else was up yet to tell who it was; it asks again when it is started again. */
const INCOMPLETE = /--node ID/

/** What a node said before it ended. */
export interface LastWords {
  readonly said: string
  /** The command that the refusal names, whole; null: it refused nothing, or names none. */
  readonly command: string | null
  /** It names one, and does not know yet who it was. */
  readonly isIncomplete: boolean
}

/** Of a node that is not up: the message of the last error in its log. */
export async function lastWords(node: NodeProcess): Promise<LastWords> {
  const lines = await node.lastLines(20)
  const said = `${JSON.stringify(node.ended)}: ${lastError(lines) ?? lines.at(-1) ?? 'nothing'}`
  const isIncomplete = INCOMPLETE.test(said)
  // A node that was killed refused nothing.
  const named = node.ended?.signal === null && !isIncomplete ? COMMAND.exec(said)?.[1] : undefined
  return { said, command: named?.trim().replace(/[.,;]$/, '') ?? null, isIncomplete }
}

/** Runs what a refusal named. */
export async function obey(command: string): Promise<void> {
  await runCli(command.split(/\s+/))
}
