import { HoldfastError } from '../src/base/errors.js'
import { type Entry, type KeyInput, keyFromJson, keyToJson, valueFromJson, valueToJson } from '../src/client/index.js'
import type { Line } from './lines.js'
import { isValueCodec, type ValueCodec, valueCodecs } from './values.js'

/** One line of `export` and `import`. */
export interface ImportedRow {
  readonly key: KeyInput
  readonly value: unknown
  readonly codec: ValueCodec
}

export function formatRow(entry: Entry): string {
  return JSON.stringify({ key: keyToJson(entry.key), value: valueToJson(entry.value), codec: entry.codec })
}

/** Reads one line, or refuses it by its number. `fallback` is for rows that name no codec. */
export function parseRow(line: Line, fallback: ValueCodec): ImportedRow {
  try {
    return rowFromJson(JSON.parse(line.text), fallback)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new HoldfastError('INVALID_ARGUMENT', `line ${line.number}: ${reason}`, { cause: error })
  }
}

function rowFromJson(json: unknown, fallback: ValueCodec): ImportedRow {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new HoldfastError('INVALID_ARGUMENT', 'expected an object with key and value, as in {"key":"a","value":1}')
  }
  const { key, value, codec = fallback } = json as Record<string, unknown>
  if (key === undefined || key === null) throw new HoldfastError('INVALID_ARGUMENT', 'there is no "key"')
  if (value === undefined) throw new HoldfastError('INVALID_ARGUMENT', 'there is no "value"')
  if (!isValueCodec(codec)) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `unknown codec ${JSON.stringify(codec)}: expected ${valueCodecs.join(', ')}`,
    )
  }
  return { key: keyFromJson(key), value: valueFromJson(value), codec }
}
