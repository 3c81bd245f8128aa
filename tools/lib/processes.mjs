import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/**
 * Runs a command in a process group of its own, so that one Ctrl-C reaches it exactly once: from here. (A terminal sends
 * SIGINT to a whole group, and npm forwards it once more.) Resolves to the exit code, 128 + signal as shells count it.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', detached: true, ...options })
    let lastForwarded = 0
    const forward = (signal) => {
      const now = performance.now()
      if (now - lastForwarded < 500) return
      lastForwarded = now
      signalGroup(child.pid, signal)
    }
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
    for (const signal of signals) process.on(signal, forward)
    const finish = () => {
      for (const signal of signals) process.off(signal, forward)
    }
    child.once('error', (error) => {
      finish()
      reject(error)
    })
    child.once('exit', (code, signal) => {
      finish()
      resolve(code ?? 128 + (constants.signals[signal] ?? 0))
    })
  })
}

/** Like `run`, but ends this process with the same code if the command failed. */
export async function runOrExit(command, args, options) {
  const code = await run(command, args, options)
  if (code !== 0) process.exit(code)
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}
