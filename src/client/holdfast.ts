import { HoldfastError } from '../base/errors.js'
import type { NodeId, RangeId } from '../base/ids.js'
import type { Row } from '../kv/requests.js'
import type { Codec, Condition, Write } from '../kv/types.js'
import { ConditionFailed, conditionsOf } from './conditions.js'
import { weakReadOf } from './consistency.js'
import type { CallOptions, ClientCore, WriteResult } from './core.js'
import { ConditionRefusal } from './errors.js'
import { decodeKey, encodeKey, type KeyInput } from './keys.js'
import { scanEntries } from './scan.js'
import { type ClusterStatus, type RangeInfo, rangeInfo } from './status.js'
import type {
  BatchOperation,
  BatchOptions,
  CallLimits,
  DeleteOptions,
  Entry,
  Holdfast,
  PutOptions,
  ReadOptions,
  ScanOptions,
} from './types.js'
import { decodeValue, encodeValue, isCodec, unknownCodec } from './values.js'

/** The comfortable face of a ClientCore: keys and values as the application has them. */
export class HoldfastClient implements Holdfast {
  readonly #core: ClientCore
  readonly #codec: Codec

  /** `codec`: of calls that name none. */
  constructor(core: ClientCore, codec: Codec) {
    if (!isCodec(codec)) throw unknownCodec(codec)
    this.#core = core
    this.#codec = codec
  }

  put(key: KeyInput, value: unknown, options: PutOptions = {}): Promise<{ version: number }> {
    return attempt(() => {
      const stored = encodeKey(key)
      const codec = options.codec ?? this.#codec
      const bytes = encodeValue(value, codec)
      const conditions = conditionsOf(stored, options, codec)
      return this.#write(conditions, [{ kind: 'put', key: stored, codec, value: bytes }], options)
    }).then(versionOf, rethrow)
  }

  get<T = unknown>(key: KeyInput, options: ReadOptions = {}): Promise<T | undefined> {
    return attempt(() => this.#core.get([encodeKey(key)], readCall(options))).then(
      (rows) => rowValue(rows[0]!) as T | undefined,
    )
  }

  async getEntry<T = unknown>(key: KeyInput, options: ReadOptions = {}): Promise<Entry<T> | undefined> {
    const [row] = await this.#core.get([encodeKey(key)], readCall(options))
    if (row === null || row === undefined) return undefined
    return { key: decodeKey(row.key), value: rowValue(row) as T, version: row.version, codec: row.codec }
  }

  async getMany<T = unknown>(keys: readonly KeyInput[], options: ReadOptions = {}): Promise<(T | undefined)[]> {
    const rows = await this.#core.get(keys.map(encodeKey), readCall(options))
    return rows.map((row) => rowValue(row) as T | undefined)
  }

  async delete(key: KeyInput, options: DeleteOptions = {}): Promise<{ deleted: boolean; version: number }> {
    const stored = encodeKey(key)
    const conditions = conditionsOf(stored, options, options.codec ?? this.#codec)
    const result = await this.#write(conditions, [{ kind: 'delete', key: stored }], options).catch(rethrow)
    return { deleted: result.deleted[0] === true, version: result.version }
  }

  scan<T = unknown>(options: ScanOptions = {}): AsyncIterable<Entry<T>> {
    return scanEntries<T>(this.#core, options)
  }

  async batch(operations: readonly BatchOperation[], options: BatchOptions = {}): Promise<{ version: number }> {
    const conditions: Condition[] = []
    const writes: Write[] = []
    for (const operation of operations) {
      const codec = ('codec' in operation ? operation.codec : undefined) ?? options.codec ?? this.#codec
      if ('put' in operation) {
        const value = encodeValue(operation.value, codec)
        writes.push({ kind: 'put', key: encodeKey(operation.put), codec, value })
      } else if ('delete' in operation) writes.push({ kind: 'delete', key: encodeKey(operation.delete) })
      else conditions.push(...checkOf(operation, codec))
    }
    return versionOf(await this.#write(conditions, writes, options).catch(rethrow))
  }

  async split(key: KeyInput, options: CallLimits = {}): Promise<{ range: number }> {
    return { range: await this.#core.split(encodeKey(key), options) }
  }

  async transfer({ range, to }: { range: number; to: number }, options: CallLimits = {}): Promise<void> {
    for (const [what, id] of Object.entries({ range, to })) {
      if (Number.isSafeInteger(id) && id > 0) continue
      throw new HoldfastError('INVALID_ARGUMENT', `${what} is ${id}; expected an integer of 1 or more`)
    }
    await this.#core.transfer({ range: range as RangeId, to: to as NodeId }, options)
  }

  async ranges(options: CallLimits = {}): Promise<RangeInfo[]> {
    const { routes } = await this.#core.routes(options)
    return routes.map(rangeInfo)
  }

  status(options: CallLimits = {}): Promise<ClusterStatus> {
    return this.#core.status(options)
  }

  async close(): Promise<void> {
    this.#core.close()
  }

  #write(
    conditions: readonly Condition[],
    writes: readonly Write[],
    options: CallLimits & { readonly wantCurrent?: boolean | undefined },
  ): Promise<WriteResult> {
    return this.#core.write({ conditions, writes, wantValue: options.wantCurrent === true }, options)
  }
}

function readCall(options: ReadOptions): CallOptions {
  const { deadlineMs, signal } = options
  return { deadlineMs, signal, weak: weakReadOf(options) }
}

function checkOf(operation: Extract<BatchOperation, { check: KeyInput }>, codec: Codec): readonly Condition[] {
  if (!('check' in operation)) {
    throw new HoldfastError('INVALID_ARGUMENT', 'an operation of a batch has put, delete or check; this one has none')
  }
  const conditions = conditionsOf(encodeKey(operation.check), operation, codec)
  if (conditions.length > 0) return conditions
  throw new HoldfastError('INVALID_ARGUMENT', 'a check has ifVersion, ifAbsent or ifValue; this one has none')
}

/** What is wrong with the arguments is told as everything else is: by the promise. */
function attempt<T>(action: () => Promise<T>): Promise<T> {
  try {
    return action()
  } catch (error) {
    return Promise.reject(error)
  }
}

function rowValue(row: Row | null): unknown {
  return row === null ? undefined : decodeValue(row.value, row.codec)
}

function versionOf(result: WriteResult): { version: number } {
  return { version: result.version }
}

function rethrow(error: unknown): never {
  throw error instanceof ConditionRefusal ? new ConditionFailed(error) : error
}
