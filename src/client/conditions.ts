import { HoldfastError } from '../base/errors.js'
import type { Key, Version } from '../base/ids.js'
import type { Codec, Condition } from '../kv/types.js'
import type { ConditionRefusal } from './errors.js'
import { type DecodedKey, decodeKey } from './keys.js'
import { decodeValue, encodeValue } from './values.js'

/** What must hold for a write to be done. Several: all of them. */
export interface ConditionOptions {
  /** The key has this version; 0: it is absent. */
  readonly ifVersion?: number | undefined
  /** The key is absent. */
  readonly ifAbsent?: true | undefined
  /** The key has this value: the same bytes under the same codec. In msgpack and JSON the order of properties counts. */
  readonly ifValue?: unknown
}

/** A condition that did not hold, and what is there instead. */
export interface FailedCheck {
  readonly key: DecodedKey
  /** 0: the key is absent. */
  readonly version: number
  /** Only with `wantCurrent`, and not always: see there. */
  readonly value?: unknown
}

/** A condition did not hold, so nothing was written. */
export class ConditionFailed extends HoldfastError {
  override readonly name = 'ConditionFailed'
  /** What the first key that failed holds now. */
  readonly current: { readonly version: number; readonly value?: unknown }
  /** Every condition that failed. */
  readonly failed: readonly FailedCheck[]

  constructor(refusal: ConditionRefusal) {
    super('CONDITION_FAILED', refusal.message)
    this.failed = refusal.failed.map(({ codec, key, value, version }) => ({
      key: decodeKey(key),
      version,
      ...(value === null ? {} : { value: decodeValue(value, codec) }),
    }))
    const { version, value } = this.failed[0] ?? { version: 0 }
    this.current = value === undefined ? { version } : { version, value }
  }
}

export function conditionsOf(key: Key, options: ConditionOptions, codec: Codec): readonly Condition[] {
  const { ifAbsent, ifValue, ifVersion } = options
  if (ifVersion === undefined && ifAbsent === undefined && ifValue === undefined) return NONE
  const conditions: Condition[] = []
  if (ifVersion !== undefined) conditions.push(versionCondition(key, ifVersion))
  if (ifAbsent === true) conditions.push({ kind: 'absent', key })
  if (ifValue !== undefined) conditions.push({ kind: 'value', key, codec, value: encodeValue(ifValue, codec) })
  return conditions
}

const NONE: readonly Condition[] = []

function versionCondition(key: Key, version: number): Condition {
  if (version === 0) return { kind: 'absent', key }
  if (Number.isSafeInteger(version) && version > 0) return { kind: 'version', key, version: version as Version }
  throw new HoldfastError('INVALID_ARGUMENT', `ifVersion is ${version}; expected a version, or 0 for an absent key`)
}
