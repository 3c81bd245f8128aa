import { HoldfastError } from '../../src/base/errors.js'
import type { Key } from '../../src/base/ids.js'
import {
  type ClusterStatus,
  type Codec,
  type Entry,
  type Holdfast,
  type KeyInput,
  type PutOptions,
  type ScanOptions,
  storedKeyOf,
} from '../../src/client/index.js'
import { decodeKey, encodeBound, namespaceOf } from '../../src/client/keys.js'

type Cluster = Pick<
  Holdfast,
  'put' | 'get' | 'getEntry' | 'delete' | 'scan' | 'split' | 'transfer' | 'ranges' | 'status' | 'close'
>

const NODE = { peerAddress: '127.0.0.1:7500', pid: 100, replicas: 2, leaders: 2, uptimeMs: 1 }

/** A cluster that is a Map, for tests of the commands. */
export class MemoryCluster implements Cluster {
  readonly entries = new Map<Key, Entry>()
  readonly splits: KeyInput[] = []
  readonly transfers: { readonly range: number; readonly to: number }[] = []
  nodes: ClusterStatus['nodes'] = [{ id: 1, address: '127.0.0.1:7400', up: true, ...NODE }]
  leader: number | null = 1
  closed = 0
  #version = 0

  async put(key: KeyInput, value: unknown, options: PutOptions = {}): Promise<{ version: number }> {
    const stored = storedKeyOf(key)
    this.#check(stored, options)
    this.#version += 1
    const codec: Codec = options.codec ?? 'msgpack'
    this.entries.set(stored, { key: decodeKey(stored), value, version: this.#version, codec })
    return { version: this.#version }
  }

  #check(stored: Key, { ifVersion, ifAbsent }: { ifVersion?: number | undefined; ifAbsent?: true | undefined }): void {
    const version = this.entries.get(stored)?.version ?? 0
    const wanted = ifAbsent === true ? 0 : ifVersion
    if (wanted === undefined || wanted === version) return
    throw new HoldfastError('CONDITION_FAILED', `the key has version ${version}`)
  }

  async get<T>(key: KeyInput): Promise<T | undefined> {
    return this.entries.get(storedKeyOf(key))?.value as T | undefined
  }

  async getEntry<T>(key: KeyInput): Promise<Entry<T> | undefined> {
    return this.entries.get(storedKeyOf(key)) as Entry<T> | undefined
  }

  async delete(
    key: KeyInput,
    options: { ifVersion?: number | undefined } = {},
  ): Promise<{ deleted: boolean; version: number }> {
    const stored = storedKeyOf(key)
    this.#check(stored, options)
    this.#version += 1
    return { deleted: this.entries.delete(stored), version: this.#version }
  }

  async *scan<T>(options: ScanOptions = {}): AsyncGenerator<Entry<T>> {
    const { start, end, prefix, reverse, limit = Number.POSITIVE_INFINITY } = options
    const from = start === undefined ? null : encodeBound(start)
    const to = end === undefined ? null : encodeBound(end)
    const head = prefix === undefined ? null : encodeBound(prefix)
    const found = [...this.entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .filter(([key, entry]) => {
        const inside =
          (from === null || key >= from) && (to === null || key < to) && (head === null || key.startsWith(head))
        return inside && namespaceOf(entry.key) === (options.namespace ?? 'raw')
      })
      .map(([, entry]) => entry as Entry<T>)
    yield* (reverse ? found.reverse() : found).slice(0, limit)
  }

  async split(key: KeyInput): Promise<{ range: number }> {
    this.splits.push(key)
    return { range: 2 + this.splits.length }
  }

  async transfer(what: { readonly range: number; readonly to: number }): Promise<void> {
    this.transfers.push(what)
  }

  async ranges(): Promise<ClusterStatus['ranges'][number][]> {
    return [...(await this.status()).ranges]
  }

  async status(): Promise<ClusterStatus> {
    const same = {
      generation: 1,
      leader: this.leader,
      replicas: this.nodes.map((node) => node.id),
      members: [],
      states: [],
    }
    return {
      cluster: 'c0ffee',
      nodes: this.nodes,
      ranges: [
        { id: 1, start: null, end: '', ...same },
        ...[2, ...this.splits.map((_, index) => 3 + index)].map((id) => ({ id, start: '', end: null, ...same })),
      ],
    }
  }

  async close(): Promise<void> {
    this.closed += 1
  }
}
