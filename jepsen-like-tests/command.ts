import { parseArgs } from 'node:util'

/** A number that the command line may set. */
export interface Setting {
  readonly value: number
  readonly min: number
  readonly max: number
  readonly about: string
}

/** A word that the command line may set. */
export interface Word {
  readonly value: string
  readonly about: string
}

/** By name: a number, a word, or a switch (and what it is about). */
type Settings = Readonly<Record<string, Setting | Word | string>>

type Given<S extends Settings> = {
  readonly [Name in keyof S]: S[Name] extends Setting ? number : S[Name] extends Word ? string : boolean
}

export interface CommandSpec<S extends Settings> {
  /** As in `npm run NAME`. */
  readonly name: string
  readonly about: string
  readonly settings: S
  /** The whole run may take so long; then it is a failure. */
  readonly secondsMax: (settings: Given<S>) => number
}

/** What a run leaves behind, undone in reverse order however it ends. */
export class Scope {
  readonly #undo: { what: string; action: () => Promise<unknown> | unknown }[] = []

  defer(what: string, action: () => Promise<unknown> | unknown): void {
    this.#undo.push({ what, action })
  }

  /** Goes through with all of it; what can't be undone is named. */
  async close(): Promise<void> {
    for (let next = this.#undo.pop(); next !== undefined; next = this.#undo.pop()) {
      try {
        await next.action()
      } catch (error) {
        console.error(`left behind: ${next.what}: ${messageOf(error)}`)
      }
    }
  }
}

/** Thrown where this machine can't do what the command needs. */
export class Skip extends Error {}

/** Thrown where what was asked for makes no sense. */
export class Usage extends Error {}

/**
 * The frame around a black-box command: settings, `--help`, a bound in time, cleaning up on every way out. `main` resolves to
 * the violations it found. Ends the process: 0 none, 1 violations or a failure, 2 usage, 130 Ctrl-C. What is skipped ends with 0,
 * and with 1 under HOLDFAST_CI=1.
 */
export async function runCommand<const S extends Settings>(
  spec: CommandSpec<S>,
  main: (settings: Given<S>, scope: Scope) => Promise<readonly string[]>,
): Promise<never> {
  const settings = readSettings(spec)
  const scope = new Scope()
  let isEnding = false
  const end = async (code: number, line: string): Promise<void> => {
    if (isEnding) return
    isEnding = true
    console.log(line)
    await scope.close()
    process.exit(code)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void end(130, `${signal}: cleaning up`))
  process.on('uncaughtException', (error) => void end(1, `${spec.name}: ${error.stack ?? error.message}`))
  const secondsMax = spec.secondsMax(settings)
  setTimeout(() => void end(1, `${spec.name}: not done within ${secondsMax} s`), secondsMax * 1_000).unref()
  try {
    const violations = await main(settings, scope)
    for (const violation of violations) console.log(`VIOLATION ${violation}`)
    await end(
      violations.length === 0 ? 0 : 1,
      violations.length === 0 ? 'no violations' : `${violations.length} violations`,
    )
  } catch (error) {
    if (error instanceof Skip) {
      const isFailure = process.env.HOLDFAST_CI === '1'
      await end(isFailure ? 1 : 0, `skipped: ${error.message}${isFailure ? ' (with HOLDFAST_CI=1 a failure)' : ''}`)
    } else if (error instanceof Usage) await end(2, `${spec.name}: ${error.message}`)
    else await end(1, `${spec.name}: ${detailsOf(error)}`)
  }
  // A signal or the bound in time is ending the process.
  return new Promise<never>(() => {})
}

function readSettings<S extends Settings>(spec: CommandSpec<S>): Given<S> {
  const named = Object.entries(spec.settings)
  const options = Object.fromEntries(
    named.map(([name, setting]) => [name, { type: typeof setting === 'string' ? 'boolean' : 'string' } as const]),
  )
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } } })
    if (values.help === true) {
      console.log(helpOf(spec))
      process.exit(0)
    }
    const given = values as Readonly<Record<string, string | boolean | undefined>>
    return Object.fromEntries(named.map(([name, setting]) => [name, valueFrom(name, given[name], setting)])) as Given<S>
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${helpOf(spec)}`)
    process.exit(2)
  }
}

function valueFrom(
  name: string,
  given: string | boolean | undefined,
  setting: Setting | Word | string,
): number | string | boolean {
  if (typeof setting === 'string') return given === true
  if (typeof setting.value === 'string') return given === undefined ? setting.value : String(given)
  const { value, min, max } = setting as Setting
  const number = given === undefined ? value : Number(given)
  if (number >= min && number <= max) return number
  throw new Error(`--${name}: expected ${min} to ${max}, got ${given}`)
}

function helpOf<S extends Settings>({ name, about, settings }: CommandSpec<S>): string {
  const rows = Object.entries(settings).map(([flag, setting]) => {
    if (typeof setting === 'string') return `  --${flag.padEnd(16)} ${setting}`
    const { value, about: what } = setting
    const bounds = typeof value === 'number' ? `; ${(setting as Setting).min} to ${(setting as Setting).max}` : ''
    const usual = value === '' ? '' : ` (default ${value}${bounds})`
    return `  --${`${flag} ${bounds === '' ? '<word>' : '<n>'}`.padEnd(16)} ${what}${usual}`
  })
  return `npm run ${name} [-- options]\n\n${about}\n\n${rows.join('\n')}\n  --${'help'.padEnd(16)} this text`
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** With what lies behind it. */
function detailsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause, stack } = error
  return cause === undefined ? (stack ?? error.message) : `${stack}\n  because: ${messageOf(cause)}`
}
