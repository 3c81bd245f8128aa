import { HoldfastError } from '../base/errors.js'
import { bytesFromBase64, bytesToJson, numberToJson } from './key-json.js'

/**
 * A value as JSON shows it: JSON's own types as themselves; `{"$bytes": base64}`, `{"$bigint": "12"}`,
 * `{"$number": "NaN"}`, `{"$date": "2024-…"}`, `{"$undefined": true}` for what JSON lacks; and `{"$object": {…}}` around an
 * object of its own that has a key beginning with `$`. The inverse of `valueFromJson`.
 */
export function valueToJson(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      return numberToJson(value)
    case 'bigint':
      return { $bigint: value.toString() }
    case 'undefined':
      return { $undefined: true }
    case 'object':
      return value === null ? null : objectToJson(value)
    default:
      return value
  }
}

/**
 * The value that a JSON form stands for.
 * @throws HoldfastError INVALID_ARGUMENT, for an object with a key beginning with `$` that is no form.
 */
export function valueFromJson(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  if (Array.isArray(json)) return json.map(valueFromJson)
  const names = Object.keys(json)
  if (names.length === 1 && names[0]!.startsWith('$')) return formFromJson(names[0]!, Object.values(json)[0])
  const odd = names.find((name) => name.startsWith('$'))
  if (odd !== undefined) throw notAForm(odd, json)
  return mapObject(json, valueFromJson)
}

function objectToJson(value: object): unknown {
  if (value instanceof Uint8Array) return bytesToJson(value)
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (Array.isArray(value)) return Array.from(value, valueToJson)
  const mapped = mapObject(value, valueToJson)
  return Object.keys(value).some((name) => name.startsWith('$')) ? { $object: mapped } : mapped
}

function formFromJson(name: string, content: unknown): unknown {
  const form = typeof content === 'string' ? textForm(name, content) : otherForm(name, content)
  if (form === null) throw notAForm(name, content)
  return form.value
}

function textForm(name: string, text: string): { value: unknown } | null {
  switch (name) {
    case '$bytes': {
      const value = bytesFromBase64(text)
      return value === null ? null : { value }
    }
    case '$bigint':
      return /^-?\d+$/.test(text) ? { value: BigInt(text) } : null
    case '$number':
      return ['NaN', 'Infinity', '-Infinity', '-0'].includes(text) ? { value: Number(text) } : null
    case '$date':
      return Number.isNaN(Date.parse(text)) ? null : { value: new Date(text) }
    default:
      return null
  }
}

function otherForm(name: string, content: unknown): { value: unknown } | null {
  if (name === '$undefined' && content === true) return { value: undefined }
  if (name === '$date' && content === null) return { value: new Date(Number.NaN) }
  if (name !== '$object' || typeof content !== 'object' || content === null || Array.isArray(content)) return null
  return { value: mapObject(content, valueFromJson) }
}

/** Own properties only, whatever their names: assigning to `__proto__` would not make one. */
function mapObject(object: object, map: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value)]))
}

function notAForm(name: string, content: unknown): HoldfastError {
  const shown = JSON.stringify(content)?.slice(0, 100)
  return new HoldfastError(
    'INVALID_ARGUMENT',
    `${name} with ${shown} is no form of a value; an object with a key that begins with $ is written as {"$object": {…}}`,
  )
}
