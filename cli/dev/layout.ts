import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { HoldfastError } from '../../src/base/errors.js'
import { HTTP_PORT_OFFSET } from './ports.js'

const FORMAT = 1

const recorded = z
  .object({ number: z.int().min(1), port: z.int(), peerPort: z.int(), httpPort: z.int().optional() })
  // Older ones had none.
  .transform((node) => ({ ...node, httpPort: node.httpPort ?? node.port + HTTP_PORT_OFFSET }))
const stateSchema = z.object({
  format: z.int(),
  initialised: z.boolean(),
  ranges: z.int().min(1),
  nodes: z.array(recorded).min(1),
})

/** What `dev` remembers from one start to the next: ports stay, because nodes know each other by them. */
export type DevState = z.infer<typeof stateSchema>
export type DevNode = DevState['nodes'][number]

/** The folder of a `dev` cluster. */
export class Layout {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  get stateFile(): string {
    return join(this.folder, 'dev.json')
  }

  get lockFile(): string {
    return join(this.folder, 'dev.lock')
  }

  dataFolder(number: number): string {
    return join(this.folder, `node-${number}`, 'data')
  }

  logFile(number: number): string {
    return join(this.folder, `node-${number}`, 'node.log')
  }

  read(): DevState | null {
    if (!existsSync(this.stateFile)) return null
    const state = this.#parse(readFileSync(this.stateFile, 'utf8'))
    if (state.format === FORMAT) return state
    throw new HoldfastError(
      'NOT_PERMITTED',
      `${this.stateFile} has format ${state.format}, this version knows ${FORMAT}`,
    )
  }

  #parse(text: string): DevState {
    try {
      return stateSchema.parse(JSON.parse(text))
    } catch (error) {
      const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error)
      throw new HoldfastError(
        'INVALID_ARGUMENT',
        `${this.stateFile} is damaged (${reason}): start anew with --reset, which deletes the data, or put the file right`,
      )
    }
  }

  write(state: Omit<DevState, 'format'>): void {
    const temporary = `${this.stateFile}.new`
    writeFileSync(temporary, `${JSON.stringify({ format: FORMAT, ...state }, null, 2)}\n`)
    renameSync(temporary, this.stateFile)
  }

  prepare(nodes: readonly DevNode[]): void {
    for (const { number } of nodes) mkdirSync(join(this.folder, `node-${number}`), { recursive: true, mode: 0o700 })
  }

  /** Removes what `dev` has made here, nothing else; returns the paths. */
  reset(): string[] {
    if (!existsSync(this.folder)) return []
    const own = readdirSync(this.folder).filter((name) => name === 'dev.json' || /^node-\d+$/.test(name))
    for (const name of own) rmSync(join(this.folder, name), { recursive: true })
    return own.map((name) => join(this.folder, name))
  }
}
