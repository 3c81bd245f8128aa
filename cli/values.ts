import { Option } from 'commander'
import { HoldfastError } from '../src/base/errors.js'
import { type Entry, keyToJson, valueFromJson, valueToJson } from '../src/client/index.js'

export const valueCodecs = ['utf8', 'json', 'msgpack', 'bytes'] as const
export type ValueCodec = (typeof valueCodecs)[number]

export const codecOption = (fallback: ValueCodec) =>
  new Option(
    '--codec <codec>',
    'how the value is stored: text, JSON text, msgpack (given as JSON), or bytes (in base64)',
  )
    .choices(valueCodecs)
    .default(fallback)

/** A value on the command line, as the SDK takes it for `codec`. */
export function parseValue(text: string, codec: ValueCodec): unknown {
  switch (codec) {
    case 'utf8':
      return text
    case 'bytes':
      return bytesFromBase64(text)
    case 'json':
      return parseJson(text, codec)
    case 'msgpack':
      return valueFromJson(parseJson(text, codec))
  }
}

export function isValueCodec(value: unknown): value is ValueCodec {
  return (valueCodecs as readonly unknown[]).includes(value)
}

function parseJson(text: string, codec: ValueCodec): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new HoldfastError('INVALID_ARGUMENT', `the value is not JSON, which codec ${codec} expects: ${reason}`)
  }
}

/** Buffer's own decoder skips what is not base64; a value must not be shortened silently. */
export function bytesFromBase64(text: string): Uint8Array {
  const trimmed = text.trim()
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(trimmed) || trimmed.length % 4 !== 0) {
    throw new HoldfastError('INVALID_ARGUMENT', 'the value is not base64, which codec bytes expects')
  }
  return new Uint8Array(Buffer.from(trimmed, 'base64'))
}

/** How a value is shown to a person: text as it is, everything else as JSON. */
export function showValue(entry: Entry): string {
  return entry.codec === 'utf8' && typeof entry.value === 'string'
    ? entry.value
    : JSON.stringify(valueToJson(entry.value))
}

export function entryToJson(entry: Entry): Record<string, unknown> {
  return { key: keyToJson(entry.key), value: valueToJson(entry.value), version: entry.version, codec: entry.codec }
}
