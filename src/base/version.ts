import { assert } from './assert.js'
import type { Version } from './ids.js'

/**
 * A version is a hybrid logical clock reading (Kulkarni et al. 2014) packed into 53 bits, so that it is a plain safe
 * integer: 42 bits of milliseconds since the Unix epoch, 11 bits of counter. Never use `<<` or `|` on one: they are 32-bit.
 */
export const VERSION_TICKS_PER_MS = 2048

export function versionAt(ms: number): Version {
  assert(Number.isSafeInteger(ms) && ms >= 0 && ms < 2 ** 42, 'milliseconds out of range', ms)
  return (ms * VERSION_TICKS_PER_MS) as Version
}

export function versionMs(version: Version): number {
  return Math.floor(version / VERSION_TICKS_PER_MS)
}

export function nextVersion(version: Version): Version {
  return (version + 1) as Version
}

export function maxVersion(a: Version, b: Version): Version {
  return a > b ? a : b
}
