import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { filesUnder, root } from './project.js'

interface LockModule {
  withLock<T>(path: string, action: () => Promise<T>): Promise<T>
}
interface TestsModule {
  countVitest(run: { report: unknown; code: number }): { passed: number; failed: number; skipped: number }
}
interface ProcessesModule {
  run(command: string, args: readonly string[], options?: object): Promise<number>
}

const load = async <T>(name: string) => (await import(join(root, 'tools/lib', name))) as T

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tools-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the lock around install and build', () => {
  it('lets one at a time through', async () => {
    const { withLock } = await load<LockModule>('lock.mjs')
    const path = join(folder, 'deep', '.lock')
    const order: string[] = []
    let release = () => {}
    const first = withLock(path, async () => {
      order.push('first in')
      await new Promise<void>((resolve) => {
        release = resolve
      })
      order.push('first out')
    })
    const waiting = spawn(process.execPath, ['--input-type=module', '-e', secondHolder(path)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // It says that it waits, and for whom.
    const [notice] = (await once(waiting.stderr, 'data')) as [Buffer]
    expect(String(notice)).toContain(`waiting for process ${process.pid}`)
    release()
    await first
    const [text] = (await once(waiting.stdout, 'data')) as [Buffer]
    order.push(String(text).trim())
    await once(waiting, 'exit')
    expect(order).toEqual(['first in', 'first out', 'second in'])
    expect(readdirSync(join(folder, 'deep'))).toEqual([])
  })

  it('is taken over from a process that is gone', async () => {
    const { withLock } = await load<LockModule>('lock.mjs')
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    const path = join(folder, '.lock')
    writeFileSync(path, String(child.pid))
    expect(await withLock(path, async () => 'done')).toBe('done')
    expect(existsSync(path)).toBe(false)
  })
})

function secondHolder(path: string): string {
  const module = JSON.stringify(join(root, 'tools/lib/lock.mjs'))
  return `const { withLock } = await import(${module}); await withLock(${JSON.stringify(path)}, async () => console.log('second in'))`
}

describe('the count of tests', () => {
  const report = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 1, numTodoTests: 1, testResults: [] }

  it('adds what is pending and what is to do as skipped', async () => {
    const { countVitest } = await load<TestsModule>('tests.mjs')
    expect(countVitest({ report, code: 0 })).toEqual({ passed: 3, failed: 0, skipped: 2 })
  })

  it('counts a file that could not be loaded as a failure', async () => {
    const { countVitest } = await load<TestsModule>('tests.mjs')
    const testResults = [{ status: 'failed', assertionResults: [] }]
    expect(countVitest({ report: { ...report, testResults }, code: 1 }).failed).toBe(1)
  })

  it('counts an error outside of all tests, and a runner that died, as a failure', async () => {
    const { countVitest } = await load<TestsModule>('tests.mjs')
    expect(countVitest({ report, code: 1 }).failed).toBe(1)
    expect(countVitest({ report: null, code: 1 }).failed).toBe(1)
  })
})

describe('a command that is run', () => {
  it('gets a signal that came to us, and its exit code counts as a shell counts it', async () => {
    const { run } = await load<ProcessesModule>('processes.mjs')
    const marker = join(folder, 'started')
    const program = `require('fs').writeFileSync(${JSON.stringify(marker)}, ''); setInterval(() => {}, 1000)`
    const ended = run(process.execPath, ['-e', program])
    while (!existsSync(marker)) await new Promise((resolve) => setImmediate(resolve))
    process.emit('SIGTERM')
    expect(await ended).toBe(143)
    expect(await run(process.execPath, ['-e', 'process.exit(3)'])).toBe(3)
  })
})

describe('tools', () => {
  it('need nothing but Node, so that they can install the rest', () => {
    const wrong = filesUnder('tools', '.mjs').flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)]
        .map(([, specifier]) => specifier!)
        .filter((specifier) => !specifier.startsWith('node:') && !specifier.startsWith('.'))
        .map((specifier) => `${path} imports ${specifier}`),
    )
    expect(wrong).toEqual([])
  })
})
