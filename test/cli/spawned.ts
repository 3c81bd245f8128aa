import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'

export const holdfast = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** A `holdfast` process: what it printed so far, and how it ended. */
export class Spawned {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  out = ''
  err = ''
  readonly #waiting = new Set<() => void>()

  constructor(argv: readonly string[], options: SpawnOptions = {}) {
    this.child = spawn(process.execPath, [holdfast, ...argv], { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
      this.#changed()
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.err += text
      this.#changed()
    })
    this.ended = this.#end()
  }

  /** Exit, and everything it printed. ('close' never comes once the IPC channel was closed from this side.) */
  async #end(): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }> {
    const { stdout, stderr } = this.child
    const [[code, signal]] = await Promise.all([once(this.child, 'exit'), finished(stdout!), finished(stderr!)])
    this.#changed()
    return { code, signal }
  }

  get pid(): number {
    return this.child.pid!
  }

  /** Resolves once standard output matches; rejects when the process ends without it. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.out)
      if (match !== null) return match
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        await this.ended
        const last = pattern.exec(this.out)
        if (last !== null) return last
        throw new Error(
          `ended (${this.child.exitCode ?? this.child.signalCode}) without ${pattern}:\n${this.out}${this.err}`,
        )
      }
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  #changed(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async stop(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal)
    return (await this.ended).code
  }
}

/** Runs a command to its end. */
export async function holdfastOnce(
  ...argv: readonly string[]
): Promise<{ code: number | null; out: string; err: string }> {
  const spawned = new Spawned(argv)
  const { code } = await spawned.ended
  return { code, out: spawned.out, err: spawned.err }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
