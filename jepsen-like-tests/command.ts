import { parseArgs } from 'node:util'

/** A number that the command line may set. */
export interface Setting {
  readonly value: number
  readonly min: number
  readonly max: number
  readonly about: string
}

export interface CommandSpec<Name extends string> {
  /** As in `npm run NAME`. */
  readonly name: string
  readonly about: string
  readonly settings: Readonly<Record<Name, Setting>>
  /** The whole run may take so long; then it is a failure. */
  readonly secondsMax: (settings: Readonly<Record<Name, number>>) => number
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

/**
 * The frame around a black-box command: settings, `--help`, a bound in time, cleaning up on every way out. `main` resolves to
 * the violations it found. Ends the process: 0 none, 1 violations or a failure, 2 usage, 130 Ctrl-C. What is skipped ends with 0,
 * and with 1 under HOLDFAST_CI=1.
 */
export async function runCommand<Name extends string>(
  spec: CommandSpec<Name>,
  main: (settings: Readonly<Record<Name, number>>, scope: Scope) => Promise<readonly string[]>,
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
    await end(violations.length === 0 ? 0 : 1, violations.length === 0 ? 'OK' : `${violations.length} violations`)
  } catch (error) {
    if (error instanceof Skip) {
      const isFailure = process.env.HOLDFAST_CI === '1'
      await end(isFailure ? 1 : 0, `skipped: ${error.message}${isFailure ? ' (with HOLDFAST_CI=1 a failure)' : ''}`)
    } else await end(1, `${spec.name}: ${detailsOf(error)}`)
  }
  // A signal or the bound in time is ending the process.
  return new Promise<never>(() => {})
}

function readSettings<Name extends string>(spec: CommandSpec<Name>): Readonly<Record<Name, number>> {
  const names = Object.keys(spec.settings) as Name[]
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } } })
    if (values.help === true) {
      console.log(helpOf(spec))
      process.exit(0)
    }
    const given = values as Readonly<Record<string, string | undefined>>
    return Object.fromEntries(names.map((name) => [name, numberOf(name, given[name], spec.settings[name])])) as Record<
      Name,
      number
    >
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${helpOf(spec)}`)
    process.exit(2)
  }
}

function numberOf(name: string, text: string | undefined, { value, min, max }: Setting): number {
  const number = text === undefined ? value : Number(text)
  if (number >= min && number <= max) return number
  throw new Error(`--${name}: expected ${min} to ${max}, got ${text}`)
}

function helpOf<Name extends string>({ name, about, settings }: CommandSpec<Name>): string {
  const rows = Object.entries<Setting>(settings).map(([flag, { value, min, max, about: what }]) => {
    return `  --${`${flag} <n>`.padEnd(16)} ${what} (default ${value}; ${min} to ${max})`
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
