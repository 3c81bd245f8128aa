import { readFileSync } from 'node:fs'

/** Anonymous memory of a process in bytes: heap, stacks and all buffers, without mapped files. 0: it is ending. Linux only. */
export function anonymousBytes(pid: number): number {
  try {
    const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return line === null ? 0 : Number(line[1]) * 1024
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0
    throw error
  }
}

/** Processor time that a process has used since it began, in seconds; tells more than the clock where a machine is busy. Linux only. */
export function processorSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // After the name, which may hold anything, in parentheses; in ticks of 10 ms.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Looks at processes again and again, and keeps the highest it saw of each. */
export class MemoryWatch {
  readonly #pids: () => readonly number[]
  readonly #highest = new Map<number, number>()
  readonly #timer: NodeJS.Timeout

  constructor(pids: () => readonly number[], everyMs = 200) {
    this.#pids = pids
    this.#timer = setInterval(() => this.#look(), everyMs)
  }

  /** The highest of all since the last call, in bytes. */
  take(): number {
    this.#look()
    const highest = Math.max(...this.#highest.values())
    this.#highest.clear()
    return highest
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    for (const pid of this.#pids()) this.#highest.set(pid, Math.max(this.#highest.get(pid) ?? 0, anonymousBytes(pid)))
  }
}
