import { once } from 'node:events'

/** What a command sees of the world it runs in; tests give it another one. */
export interface Terminal {
  /** Standard output. Resolves when there is room for more. */
  write(text: string): Promise<void>
  /** Standard error: what is not the result. */
  note(text: string): void
  /** Standard output goes to a person. */
  readonly outputIsTty: boolean
  /** Standard error goes to a person: progress may be drawn there. */
  readonly notesAreTty: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly input: AsyncIterable<Uint8Array>
}

export function processTerminal(): Terminal {
  // A reader that has seen enough (`holdfast export | head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    async write(text) {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain')
    },
    note(text) {
      process.stderr.write(text)
    },
    outputIsTty: process.stdout.isTTY === true,
    notesAreTty: process.stderr.isTTY === true,
    env: process.env,
    input: process.stdin,
  }
}

export async function writeLine(terminal: Terminal, text: string): Promise<void> {
  await terminal.write(`${text}\n`)
}

export async function writeJson(terminal: Terminal, value: unknown): Promise<void> {
  await writeLine(terminal, JSON.stringify(value, null, terminal.outputIsTty ? 2 : undefined))
}
