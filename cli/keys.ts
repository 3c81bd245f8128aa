import { HoldfastError } from '../src/base/errors.js'
import { type KeyInput, keyFromJson } from '../src/client/index.js'

/**
 * A key on the command line. A plain argument is a string key; one that begins with `[` is a tuple in JSON, one that begins
 * with `{"$bytes"` is bytes in base64. `raw` takes all of them as plain strings.
 */
export function parseKey(text: string, { raw = false }: { raw?: boolean | undefined } = {}): KeyInput {
  if (text === '') throw new HoldfastError('INVALID_ARGUMENT', 'the key is empty: expected at least one byte')
  if (raw || !/^(\[|\{"\$bytes")/.test(text)) return text
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `the key ${text} is not JSON: ${reason}. A tuple is written as '["user",7]'; --raw takes it as a plain string`,
    )
  }
  return keyFromJson(parsed)
}

/** Which of the two default namespaces a key lies in: tuples never meet strings and bytes. */
export function namespaceOf(key: KeyInput): 'raw' | 'tuple' {
  return typeof key === 'string' || key instanceof Uint8Array ? 'raw' : 'tuple'
}

/** Keys separated by commas, except that a tuple keeps its own: '["a",1]' is one key. */
export function splitKeyList(text: string): string[] {
  return text.startsWith('[') || text.startsWith('{') ? [text] : text.split(',')
}

/** How tables show a key: strings as they are, everything else as JSON; the open end of a span as a sign. */
export function showKey(json: unknown): string {
  if (json === null) return '∞'
  return typeof json === 'string' && json !== '' ? json : JSON.stringify(json)
}
