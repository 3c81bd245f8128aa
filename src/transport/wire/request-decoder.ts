import type { Generation, Key, NodeId, RangeId, SessionId, Version } from '../../base/ids.js'
import type { Request, WeakRead } from '../../kv/requests.js'
import type { Codec, Condition, Origin, Write } from '../../kv/types.js'
import { codecOf } from './nouns.js'
import { Reader, WireError } from './reader.js'
import {
  CONDITION,
  FRAME,
  GET,
  MUTATION,
  ORIGIN,
  REQUEST,
  ROUTES,
  SCAN,
  SPLIT,
  TRANSFER,
  VALUE,
  WRITE,
} from './request-tags.js'
import { readWeak } from './weak.js'

/** A request that could not be read, but can be answered: its id came through. */
export interface Unreadable {
  readonly id: number
  readonly reason: string
}

export interface ClientFrame {
  readonly requests: readonly Request[]
  readonly unreadable: readonly Unreadable[]
  /** Bytes of each request on the wire, for bounds: one per item of `requests`. */
  readonly sizes: readonly number[]
  readonly ping: number | null
}

/** Decodes the frames of one connection. Remembers the last session, so that its id is one string and not one per request. */
export class RequestDecoder {
  #session = ''
  /** Of the request that is being read; 0 until it came. */
  #id = 0

  /** Throws WireError where not even an id can be made out. */
  decode(frame: Uint8Array): ClientFrame {
    const reader = new Reader(frame)
    const requests: Request[] = []
    const unreadable: Unreadable[] = []
    const sizes: number[] = []
    let ping: number | null = null
    for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
      if (tag === FRAME.requests) {
        const outer = reader.enter()
        const size = reader.left
        const read = this.#request(reader)
        reader.leave(outer)
        if ('reason' in read) unreadable.push(read)
        else {
          requests.push(read)
          sizes.push(size)
        }
      } else if (tag === FRAME.ping) ping = reader.uint()
      else reader.skip()
    }
    return { requests, unreadable, sizes, ping }
  }

  #request(reader: Reader): Request | Unreadable {
    const mark = reader.mark()
    this.#id = 0
    try {
      return this.#body(reader)
    } catch (error) {
      if (!(error instanceof WireError) || this.#id === 0) throw error
      reader.unwind(mark)
      return { id: this.#id, reason: error.message }
    }
  }

  #body(reader: Reader): Request | Unreadable {
    let range = 0
    let generation = 0
    let deadlineMs = 0
    let seen = 0
    let body: Body | null = null
    for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
      if (tag === REQUEST.id) this.#id = reader.uint()
      else if (tag === REQUEST.range) range = reader.uint()
      else if (tag === REQUEST.generation) generation = reader.uint()
      else if (tag === REQUEST.deadlineMs) deadlineMs = reader.uint()
      else if (tag === REQUEST.seen) seen = reader.fixed()
      else body = this.#kind(reader, tag) ?? body
    }
    const id = this.#id
    if (body === null) return { id, reason: 'its kind is missing or not known' }
    return withBody(
      { id, range: range as RangeId, generation: generation as Generation, deadlineMs, seen: seen as Version },
      body,
    )
  }

  #kind(reader: Reader, tag: number): Body | null {
    switch (tag) {
      case REQUEST.get:
        return readGet(reader)
      case REQUEST.scan:
        return readScan(reader)
      case REQUEST.write:
        return this.#write(reader)
      case REQUEST.split:
        return this.#split(reader)
      case REQUEST.transfer:
        return readTransfer(reader)
      case REQUEST.routes:
        return readRoutes(reader)
      case REQUEST.status:
        reader.leave(reader.enter())
        return { kind: 'status' }
      default:
        reader.skip()
        return null
    }
  }

  #write(reader: Reader): Body {
    const outer = reader.enter()
    let origin: Origin | null = null
    const conditions: Condition[] = []
    const writes: Write[] = []
    let wantValue = false
    for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
      if (tag === WRITE.origin) origin = this.#origin(reader)
      else if (tag === WRITE.conditions) conditions.push(readCondition(reader))
      else if (tag === WRITE.writes) writes.push(readMutation(reader))
      else if (tag === WRITE.wantValue) wantValue = reader.flag()
      else reader.skip()
    }
    reader.leave(outer)
    return { kind: 'write', origin, conditions, writes, wantValue }
  }

  #split(reader: Reader): Body {
    const outer = reader.enter()
    let origin: Origin | null = null
    let at = ''
    for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
      if (tag === SPLIT.origin) origin = this.#origin(reader)
      else if (tag === SPLIT.at) at = reader.latin1()
      else reader.skip()
    }
    reader.leave(outer)
    return { kind: 'split', origin, at: at as Key }
  }

  #origin(reader: Reader): Origin {
    const outer = reader.enter()
    let session = ''
    let sequence = 0
    let firstSent = 0
    let lowest = 0
    for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
      if (tag === ORIGIN.session) session = reader.latin1Like(this.#session)
      else if (tag === ORIGIN.sequence) sequence = reader.uint()
      else if (tag === ORIGIN.firstSent) firstSent = reader.fixed()
      else if (tag === ORIGIN.lowest) lowest = reader.uint()
      else reader.skip()
    }
    reader.leave(outer)
    this.#session = session
    return { session: session as SessionId, sequence, firstSent: firstSent as Version, lowest }
  }
}

type Without<Kind, Fields> = Kind extends Request ? Omit<Kind, keyof Fields> : never
/** A request without what all requests have. */
type Body = Without<Request, Common>

interface Common {
  readonly id: number
  readonly range: RangeId
  readonly generation: Generation
  readonly deadlineMs: number
  readonly seen: Version
}

/** Spelled out where it is hot: a literal is several times cheaper than spreading two objects. */
function withBody(common: Common, body: Body): Request {
  const { id, range, generation, deadlineMs, seen } = common
  switch (body.kind) {
    case 'get':
      return { kind: 'get', id, range, generation, deadlineMs, seen, keys: body.keys, weak: body.weak }
    case 'write': {
      const { origin, conditions, writes, wantValue } = body
      return { kind: 'write', id, range, generation, deadlineMs, seen, origin, conditions, writes, wantValue }
    }
    case 'scan':
    case 'split':
    case 'transfer':
      return { ...body, ...common }
    case 'routes':
    case 'status':
      return { ...body, id, deadlineMs }
  }
}

function readGet(reader: Reader): Body {
  const outer = reader.enter()
  const keys: Key[] = []
  let weak: WeakRead | undefined
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === GET.keys) keys.push(reader.latin1() as Key)
    else if (tag === GET.weak) weak = readWeak(reader)
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'get', keys, weak }
}

function readScan(reader: Reader): Body {
  const outer = reader.enter()
  const scan = {
    kind: 'scan' as const,
    start: '' as Key,
    end: null as Key | null,
    reverse: false,
    limit: 0,
    bytesMax: 0,
    at: null as Version | null,
    keysOnly: false,
    weak: undefined as WeakRead | undefined,
  }
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === SCAN.start) scan.start = reader.latin1() as Key
    else if (tag === SCAN.end) scan.end = reader.latin1() as Key
    else if (tag === SCAN.reverse) scan.reverse = reader.flag()
    else if (tag === SCAN.limit) scan.limit = reader.uint()
    else if (tag === SCAN.bytesMax) scan.bytesMax = reader.uint()
    else if (tag === SCAN.at) scan.at = reader.fixed() as Version
    else if (tag === SCAN.keysOnly) scan.keysOnly = reader.flag()
    else if (tag === SCAN.weak) scan.weak = readWeak(reader)
    else reader.skip()
  }
  reader.leave(outer)
  return scan
}

function readTransfer(reader: Reader): Body {
  const outer = reader.enter()
  let to = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === TRANSFER.to) to = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'transfer', to: to as NodeId }
}

function readRoutes(reader: Reader): Body {
  const outer = reader.enter()
  let from = ''
  let limit = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === ROUTES.from) from = reader.latin1()
    else if (tag === ROUTES.limit) limit = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'routes', from: from as Key, limit }
}

function readCondition(reader: Reader): Condition {
  const outer = reader.enter()
  let key = '' as Key
  let test: { kind: 'version'; version: Version } | { kind: 'absent' } | ReturnType<typeof readValue> | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === CONDITION.key) key = reader.latin1() as Key
    else if (tag === CONDITION.version) test = { kind: 'version', version: reader.fixed() as Version }
    else if (tag === CONDITION.absent) test = reader.flag() ? { kind: 'absent' } : null
    else if (tag === CONDITION.value) test = readValue(reader)
    else reader.skip()
  }
  reader.leave(outer)
  if (test === null) throw new WireError('the kind of a condition is missing or not known')
  return { key, ...test }
}

function readValue(reader: Reader): { kind: 'value'; codec: Codec; value: Uint8Array } {
  const outer = reader.enter()
  let value: Uint8Array = EMPTY
  let codec = 0
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === VALUE.value) value = reader.copy()
    else if (tag === VALUE.codec) codec = reader.uint()
    else reader.skip()
  }
  reader.leave(outer)
  return { kind: 'value', codec: codecOf(codec), value }
}

function readMutation(reader: Reader): Write {
  const outer = reader.enter()
  let key = '' as Key
  let isDelete = false
  let codec = 0
  let value: Uint8Array = EMPTY
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === MUTATION.key) key = reader.latin1() as Key
    else if (tag === MUTATION.delete) isDelete = reader.flag()
    else if (tag === MUTATION.codec) codec = reader.uint()
    else if (tag === MUTATION.value) value = reader.copy()
    else reader.skip()
  }
  reader.leave(outer)
  return isDelete ? { kind: 'delete', key } : { kind: 'put', key, codec: codecOf(codec), value }
}

const EMPTY = new Uint8Array(0)
