import { InvalidArgumentError, Option } from 'commander'
import { HoldfastError } from '../src/base/errors.js'
import { limits } from '../src/base/limits.js'
import { type Consistency, consistencies } from '../src/client/index.js'

export const DEFAULT_ENDPOINT = '127.0.0.1:7400'

/** An argument parser for an integer within bounds (both included). */
export function integer({ min, max }: { min: number; max: number }): (text: string) => number {
  return (text) => {
    const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`)
  }
}

/** Splits a comma list and adds it to what earlier uses of the option gave. */
export function commaList(text: string, previous: readonly string[] = []): string[] {
  const items = text.split(',').map((item) => item.trim())
  if (items.some((item) => item === ''))
    throw new InvalidArgumentError('Expected names separated by commas, none empty.')
  return [...previous, ...items]
}

/** host:port, with [host]:port for IPv6. */
export function address(text: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text)
  if (match === null || Number(match[2]) > 65_535)
    throw new InvalidArgumentError('Expected host:port, as in 127.0.0.1:7400.')
  return text
}

/** An address, or "off". */
export function addressOrOff(text: string): string {
  return text === 'off' ? text : address(text)
}

export function addressList(text: string, previous: readonly string[] = []): string[] {
  return [...previous, ...commaList(text).map(address)]
}

export function splitAddress(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

export const endpointOption = () =>
  new Option(
    '-e, --endpoint <host:port,…>',
    `client addresses of nodes, one that answers is enough (default: HOLDFAST_ENDPOINTS, else ${DEFAULT_ENDPOINT})`,
  ).argParser(addressList)

/** What --endpoint says, else the environment, else this machine. Throws INVALID_ARGUMENT for what the environment says. */
export function endpointsOf(
  { endpoint }: Pick<ClusterOptions, 'endpoint'>,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (endpoint !== undefined) return endpoint
  const named = env.HOLDFAST_ENDPOINTS?.trim() ?? ''
  if (named === '') return [DEFAULT_ENDPOINT]
  try {
    return addressList(named)
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error
    throw new HoldfastError('INVALID_ARGUMENT', `HOLDFAST_ENDPOINTS is ${JSON.stringify(named)}: ${error.message}`)
  }
}

export const deadlineOption = (defaultMs: number = limits.defaultDeadlineMs) =>
  new Option('--deadline <ms>', 'give a call up after this many milliseconds')
    .argParser(integer({ min: 1, max: limits.deadlineMsMax }))
    .default(defaultMs)

export const consistencyOption = () =>
  new Option('--consistency <name>', 'what the read promises (see `holdfast get --help`)')
    .choices(consistencies)
    .default('linearizable')

export const maxStaleOption = () =>
  new Option('--max-stale-ms <ms>', 'with --consistency stale: how old the picture may be').argParser(
    integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  )

export interface ReadCommandOptions {
  readonly consistency: Consistency
  readonly maxStaleMs?: number
}

export const jsonOption = () => new Option('--json', 'print JSON')

export const rawOption = () => new Option('--raw', 'take keys as plain strings, also if they begin with [ or {')

export interface ClusterOptions {
  readonly endpoint?: readonly string[]
  readonly deadline: number
  readonly json?: true
}
