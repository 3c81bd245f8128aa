import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Whatever becomes of this process: a file system that stays frozen takes every process with it that ever writes there. */
const THAWS_AFTER_S = 15

/** Why file systems can't be frozen on this machine; null: they can. */
export async function noFreezing(): Promise<string | null> {
  try {
    await run('fsfreeze', ['--version'])
    return null
  } catch (error) {
    return `fsfreeze is missing: ${(error as Error).message}`
  }
}

/** Writes and syncs there wait from now on, until the returned function is called, for 15 s at most. A process that waits can't be killed. */
export async function hangDisk(mountPoint: string): Promise<() => Promise<void>> {
  const guard = spawn('sh', ['-c', `sleep ${THAWS_AFTER_S}; fsfreeze --unfreeze "$0"`, mountPoint], {
    detached: true,
    stdio: 'ignore',
  })
  await once(guard, 'spawn')
  guard.unref()
  try {
    await run('fsfreeze', ['--freeze', mountPoint])
  } catch (error) {
    end(guard)
    throw error
  }
  return async () => {
    try {
      await run('fsfreeze', ['--unfreeze', mountPoint])
    } catch (error) {
      // The guard was faster, or power was cut meanwhile.
      if (!/Invalid argument/.test((error as Error).message)) throw error
    }
    end(guard)
  }
}

/** With the sleep that it waits for. */
function end({ pid, exitCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
