import { spawn } from 'node:child_process'

export interface Ended {
  /** null: it took too long and was killed. */
  readonly code: number | null
  /** The last of what it printed, both ways. */
  readonly output: string
}

const KEPT_CHARACTERS = 200_000

/**
 * Runs a program of Node in a process group of its own and waits for its end. After `msMax` the group is killed: a planted bug
 * may keep it busy for ever.
 */
export function runNode(
  args: readonly string[],
  options: { readonly cwd: string; readonly msMax: number; readonly env?: Readonly<Record<string, string>> },
): Promise<Ended> {
  const { cwd, msMax, env = {} } = options
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    let output = ''
    const keep = (text: string): void => {
      output = (output + text).slice(-KEPT_CHARACTERS)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    let isLate = false
    const killGroup = (): void => {
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
      }
    }
    const timer = setTimeout(() => {
      isLate = true
      killGroup()
    }, msMax)
    const endWithUs = (): void => {
      killGroup()
      process.exit(130)
    }
    process.once('SIGINT', endWithUs).once('SIGTERM', endWithUs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      process.off('SIGINT', endWithUs).off('SIGTERM', endWithUs)
      // What it started may have outlived it.
      killGroup()
      resolve({ code: isLate ? null : (code ?? 1), output })
    })
  })
}
