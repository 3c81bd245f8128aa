import type { Key, NodeId, RangeId, Version } from '../../src/base/ids.js'
import type { Reply, ReplyError, Request, Route, Row } from '../../src/kv/requests.js'
import type { Condition, FailedCondition } from '../../src/kv/types.js'
import { compareEnds, contains } from '../../src/range/span.js'
import { type Arrival, asNode, FakeCluster, FIRST_VERSION, nodeStatus, replicaStatus, route } from './fake-cluster.js'

type RangeRequest = Extract<Request, { kind: 'get' | 'scan' | 'write' | 'split' | 'transfer' }>

/** A cluster that executes what it is asked, over one map: the least that is right. Only leaders answer, only for their range. */
export class ModelCluster extends FakeCluster {
  readonly rows = new Map<Key, Row>()
  /** Requests executed, in order. */
  readonly executed: RangeRequest[] = []
  /** What the nodes know: the truth. `routes` is what they tell to those who ask for routes. */
  truth: Route[]
  rowsPerPageMax = 1_000
  rowsPerGetMax = 1_000
  #version: number = FIRST_VERSION

  constructor(truth: Route[] = [route({ range: 2 }, 1)], told: readonly Route[] = truth) {
    super({ routes: told })
    this.truth = truth
    this.answerAll((arrival) => this.execute(arrival))
  }

  /** Runs everything that is under way, until the promise has its end. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isDone = false
    const done = promise.finally(() => {
      isDone = true
    })
    done.catch(() => {})
    for (let step = 0; step < 10_000 && !isDone; step++) {
      for (let job = 0; job < 10; job++) await Promise.resolve()
      this.clock.advance(1)
    }
    return done
  }

  /** The range that holds `at` gives all from there on to a new one, led by `leader`. */
  cut(at: Key, leader: number): void {
    const old = this.truth.find(({ descriptor }) => contains(descriptor.span, at))!
    const { epoch, generation, range, span } = old.descriptor
    const id = Math.max(...this.truth.map(({ descriptor }) => descriptor.range)) + 1
    this.truth = this.truth.filter((other) => other !== old)
    const left = { range, start: span.start, end: at, generation: generation + 1, epoch }
    const right = { range: id, start: at, end: span.end, generation: generation + 1 }
    this.truth.push(route(left, old.leader), route(right, leader))
  }

  /** Node `to` leads the range from now on. */
  lead(range: RangeId, to: NodeId): void {
    this.truth = this.truth.map((each) => (each.descriptor.range === range ? { ...each, leader: to } : each))
  }

  execute(arrival: Arrival): void {
    const { request } = arrival
    if (request.kind === 'routes') throw new Error('routes are told before anything is executed')
    if (request.kind === 'status') {
      const replicas = this.truth.map(({ descriptor }) => replicaStatus(descriptor))
      const status = nodeStatus(arrival.node.info.node, replicas)
      arrival.reply({ id: request.id, version: 0 as Version, kind: 'status', status })
      return
    }
    const refusal = this.#refusalOf(arrival, request)
    if (refusal !== null) {
      arrival.refuse(refusal.code!, refusal)
      return
    }
    this.executed.push(request)
    arrival.reply(this.#reply(request))
  }

  #refusalOf(arrival: Arrival, request: RangeRequest): Partial<ReplyError> | null {
    const { generation, range } = request
    const found = this.truth.find(({ descriptor }) => descriptor.range === range)
    const keys = keysOf(request)
    const isWithin = found !== undefined && keys.every((key) => contains(found.descriptor.span, key))
    const isCurrent = request.kind === 'transfer' || found?.descriptor.generation === generation
    if (!isWithin || !isCurrent || !holdsEnd(request, found)) {
      const around = this.truth.filter(({ descriptor }) => keys.some((key) => contains(descriptor.span, key)))
      return { code: 'RANGE_MOVED', routes: around }
    }
    if (found.leader !== asNode(arrival.node.info.node)) return { code: 'NOT_LEADER', routes: [found] }
    if (request.kind === 'get' && keys.length > this.rowsPerGetMax) return { code: 'TOO_LARGE' }
    return null
  }

  #reply(request: RangeRequest): Reply {
    const { id } = request
    switch (request.kind) {
      case 'get': {
        const rows = request.keys.map((key) => this.rows.get(key) ?? null)
        return { id, kind: 'rows', version: this.#version as Version, rows }
      }
      case 'scan':
        return this.#page(request)
      case 'write':
        return this.#write(request)
      case 'split':
        this.cut(request.at, 1)
        return { id, kind: 'split', version: this.#next(), child: this.truth.at(-1)!.descriptor.range }
      case 'transfer':
        this.lead(request.range, request.to)
        return { id, kind: 'transferred', version: 0 as Version }
    }
  }

  #page(request: Extract<Request, { kind: 'scan' }>): Reply {
    const { end, id, keysOnly, limit, reverse, start } = request
    const rows = [...this.rows.values()].filter(({ key }) => start <= key && (end === null || key < end))
    rows.sort((a, b) => (a.key < b.key ? -1 : 1))
    if (reverse) rows.reverse()
    const page = rows.slice(0, Math.min(limit, this.rowsPerPageMax))
    const shown = keysOnly ? page.map((row) => ({ ...row, value: new Uint8Array() })) : page
    return { id, kind: 'page', version: this.#version as Version, rows: shown, more: rows.length > page.length }
  }

  #write(request: Extract<Request, { kind: 'write' }>): Reply {
    const { conditions, id, wantValue, writes } = request
    const failed = conditions
      .filter((condition) => !this.#holds(condition))
      .map(({ key }) => this.#failed(key, wantValue))
    if (failed.length > 0) {
      const error = {
        code: 'CONDITION_FAILED',
        message: 'a condition failed',
        retryAfterMs: null,
        routes: [],
        failed,
      } as const
      return { id, version: this.#version as Version, kind: 'error', error }
    }
    const version = this.#next()
    const deleted: boolean[] = []
    for (const write of writes) {
      if (write.kind === 'delete') deleted.push(this.rows.delete(write.key))
      else this.rows.set(write.key, { key: write.key, version, codec: write.codec, value: write.value })
    }
    return { id, kind: 'written', version, deleted }
  }

  #holds(condition: Condition): boolean {
    const row = this.rows.get(condition.key)
    if (condition.kind === 'absent') return row === undefined
    if (condition.kind === 'version') return row?.version === condition.version
    return row?.codec === condition.codec && Buffer.compare(row.value, condition.value) === 0
  }

  #failed(key: Key, wantValue: boolean): FailedCondition {
    const row = this.rows.get(key)
    if (row === undefined) return { key, version: 0 as Version, value: null, codec: 'bytes' }
    return { key, version: row.version, value: wantValue ? row.value : null, codec: row.codec }
  }

  #next(): Version {
    return ++this.#version as Version
  }
}

function keysOf(request: RangeRequest): readonly Key[] {
  switch (request.kind) {
    case 'get':
      return request.keys
    case 'scan':
      return [request.start]
    case 'write':
      return [...request.writes, ...request.conditions].map(({ key }) => key)
    case 'split':
      return [request.at]
    case 'transfer':
      return []
  }
}

function holdsEnd(request: RangeRequest, found: Route): boolean {
  return request.kind !== 'scan' || compareEnds(request.end, found.descriptor.span.end) <= 0
}
