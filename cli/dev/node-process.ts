import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isChildMessage } from '../supervised.js'
import type { DevNode, Layout } from './layout.js'

/** Set where they count: before the process starts. More threads for the disk, and fewer collections of young objects. */
const NODE_FLAGS = ['--max-semi-space-size=32']
const NODE_ENV = { UV_THREADPOOL_SIZE: '8' }
const LOG_BYTES_MAX = 16 * 1024 * 1024
const STOP_MS_MAX = 20_000

export interface NodeEvents {
  onReady(number: number): void
  /** `reason`: how the process ended, for a person. */
  onEnd(number: number, reason: string): void
}

/** One node as a child process: in a process group of its own, ending by itself when this process is gone. */
export class NodeProcess {
  readonly node: DevNode
  readonly #layout: Layout
  readonly #others: readonly DevNode[]
  readonly #events: NodeEvents
  #child: ChildProcess | null = null
  #failure: string | null = null
  ready = false

  constructor(node: DevNode, all: readonly DevNode[], layout: Layout, events: NodeEvents) {
    this.node = node
    this.#others = all.filter((other) => other !== node)
    this.#layout = layout
    this.#events = events
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  start(): void {
    const { number } = this.node
    const log = openLog(this.#layout.logFile(number))
    const child = spawn(process.execPath, [...NODE_FLAGS, mainScript(), ...this.#arguments()], {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
      env: { ...withoutSettings(process.env), ...NODE_ENV },
    })
    closeSync(log)
    this.#child = child
    this.#failure = null
    child.on('message', (message) => {
      if (!isChildMessage(message)) return
      if (message.kind === 'failed') {
        this.#failure = message.message
      } else {
        this.ready = true
        this.#events.onReady(number)
      }
    })
    child.once('error', (error) => this.#ended(error.message))
    child.once('exit', (code, signal) => this.#ended(this.#failure ?? (signal === null ? `exit code ${code}` : signal)))
  }

  /** Drains and stops; after a bound, ends it. */
  stop(): Promise<void> {
    const child = this.#child
    if (child === null) return Promise.resolve()
    return new Promise((resolve) => {
      const cut = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      child.once('exit', () => {
        clearTimeout(cut)
        resolve()
      })
      child.kill('SIGTERM')
      // A paused process takes no signal before it goes on.
      child.kill('SIGCONT')
    })
  }

  #arguments(): string[] {
    const { number, port, peerPort, httpPort } = this.node
    const join = this.#others.map((other) => `127.0.0.1:${other.peerPort}`)
    return [
      'start',
      ...['--data', this.#layout.dataFolder(number)],
      ...['--listen', `127.0.0.1:${port}`],
      ...['--peer-listen', `127.0.0.1:${peerPort}`],
      ...['--http', `127.0.0.1:${httpPort}`],
      ...(join.length === 0 ? [] : ['--join', join.join(',')]),
    ]
  }

  #ended(reason: string): void {
    if (this.#child === null) return
    this.#child = null
    this.ready = false
    this.#events.onEnd(this.node.number, reason)
  }
}

function mainScript(): string {
  return fileURLToPath(new URL('../main.js', import.meta.url))
}

/** A node of `dev` is told everything by flags; settings for `start` in the environment must not reach it. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('HOLDFAST_')))
}

function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_BYTES_MAX) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}
