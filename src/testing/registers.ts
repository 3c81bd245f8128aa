import type { Key } from '../base/ids.js'
import { KEYSPACES, storedKey } from '../base/keyspace.js'

/** Registers of a simulation's workload. */
export const REGISTERS = 16

/** Name of the register at a place from 0. */
export function registerAt(at: number): string {
  return String(at).padStart(2, '0')
}

/** Names of registers, and of pairs that only batches write, both at once: `05` belongs to the pair `05/a`, `05/b`. */
export interface Keys {
  readonly registers: readonly string[]
  readonly pairs: readonly string[]
}

export function keysOf(count: number): Keys {
  const registers = Array.from({ length: count }, (_, at) => registerAt(at))
  return { registers, pairs: registers.filter((_, at) => at % 4 === 1) }
}

/** All keys that a workload writes. */
export function namesOf({ registers, pairs }: Keys): string[] {
  return [...registers, ...pairs.flatMap(halvesOf)]
}

/** The two keys of a pair. */
export function halvesOf(pair: string): [string, string] {
  return [`${pair}/a`, `${pair}/b`]
}

export function rawKey(name: string): Key {
  return storedKey(KEYSPACES.raw, name)
}
