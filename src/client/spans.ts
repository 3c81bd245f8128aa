import { HoldfastError } from '../base/errors.js'
import type { Key } from '../base/ids.js'
import { KEYSPACES, keyspaceSpan, storedKey } from '../base/keyspace.js'
import { tuplePrefixSpan } from '../base/tuple.js'
import { encodeBound, type KeyInput, type Namespace, namespaceOf } from './keys.js'

/** Which keys a scan walks. */
export interface SpanOptions {
  /** First key, included. Default: the start of the namespace. */
  readonly start?: KeyInput | undefined
  /** Behind the last key: excluded. Default: the end of the namespace. */
  readonly end?: KeyInput | undefined
  /** All keys that begin so, instead of start and end. A prefix of a tuple is a tuple. */
  readonly prefix?: KeyInput | undefined
  /** Told by the kind of `start`, `end` or `prefix`; needed where none is given and tuples are meant. Default: raw. */
  readonly namespace?: Namespace | undefined
}

/**
 * The stored span, half open.
 * @throws HoldfastError INVALID_ARGUMENT, for namespaces mixed, prefix beside start or end, or a span upside down.
 */
export function storedSpan(options: SpanOptions): { start: Key; end: Key } {
  const namespace = oneNamespace(options)
  const whole = keyspaceSpan(KEYSPACES[namespace])
  const wholeEnd = whole.end!
  if (options.prefix !== undefined) {
    if (options.start === undefined && options.end === undefined) return prefixSpan(options.prefix, wholeEnd)
    throw new HoldfastError('INVALID_ARGUMENT', 'prefix was given beside start or end; expected one or the other')
  }
  const start = options.start === undefined ? whole.start : encodeBound(options.start)
  const end = options.end === undefined ? wholeEnd : encodeBound(options.end)
  if (start <= end) return { start, end }
  const shown = `start ${JSON.stringify(options.start)}, end ${JSON.stringify(options.end)}`
  throw new HoldfastError('INVALID_ARGUMENT', `the span is upside down: ${shown}; reverse walks it backwards`)
}

function oneNamespace({ end, namespace, prefix, start }: SpanOptions): Namespace {
  const given = [start, end, prefix].filter((key) => key !== undefined).map(namespaceOf)
  const named = namespace === undefined ? given : [namespace, ...given]
  const first = named[0] ?? 'raw'
  if (first !== 'raw' && first !== 'tuple') {
    throw new HoldfastError('INVALID_ARGUMENT', `namespace is ${JSON.stringify(first)}; expected raw or tuple`)
  }
  if (named.every((other) => other === first)) return first
  throw new HoldfastError('INVALID_ARGUMENT', 'strings or bytes and tuples are in two namespaces: one scan walks one')
}

function prefixSpan(prefix: KeyInput, wholeEnd: Key): { start: Key; end: Key } {
  const start = encodeBound(prefix)
  if (Array.isArray(prefix)) return { start, end: storedKey(KEYSPACES.tuple, tuplePrefixSpan(prefix).end) }
  return { start, end: behindAll(start) ?? wholeEnd }
}

/** The first key behind all that begin with `prefix`. The keyspace bytes in front see to it that there is one. */
function behindAll(prefix: Key): Key | null {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix.charCodeAt(length - 1)
    if (last < 0xff) return (prefix.slice(0, length - 1) + String.fromCharCode(last + 1)) as Key
  }
  return null
}
