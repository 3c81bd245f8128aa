import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { Key, NodeId, RangeId, Version } from '../base/ids.js'
import { limits } from '../base/limits.js'
import type { Clock } from '../base/ports.js'
import type { Route, Row, ServerHello } from '../kv/requests.js'
import type { Answer, Body, CallOptions, Ending, PageAsked, ScanBody, WriteBody } from './call.js'
import { refusedGet, refusedPage, refusedWrite } from './checks.js'
import type { ClientCoreOptions } from './core-options.js'
import { Dispatcher } from './dispatcher.js'
import { unexpected, unfoundRange, unknownRange } from './errors.js'
import { GetJob } from './get-job.js'
import { type Page, pageOf } from './pages.js'
import { type ClusterStatus, heldOf, mergeStatus, type StatusAnswer } from './status.js'

export type { CallOptions } from './call.js'
export type { ClientCoreOptions } from './core-options.js'
export type { Page } from './pages.js'

const ROUTES_PER_REQUEST = 1_000
/** A node that does not tell its status by then is shown as down. */
const STATUS_DEADLINE_MS = 2_000
const ASK_AGAIN_MS = 50

/** What a scan page is asked for; without `bytesMax` as many bytes as an answer may have. */
export type PageRequest = Omit<PageAsked, 'bytesMax'> & { readonly bytesMax?: number }

export interface WriteResult {
  readonly version: Version
  /** Per delete, in order: was there something. */
  readonly deleted: readonly boolean[]
}

/**
 * The client below its comfortable face: stored keys, encoded values, one range's page at a time. Routing, batching,
 * retries under one request id, deadlines and bounds are here. Every failure is a HoldfastError; CONDITION_FAILED comes as
 * a ConditionRefusal, with what was found instead.
 */
export class ClientCore {
  readonly #dispatcher: Dispatcher
  readonly #clock: Clock
  readonly #defaultDeadlineMs: number

  constructor(options: ClientCoreOptions) {
    this.#dispatcher = new Dispatcher(options)
    this.#clock = options.clock
    this.#defaultDeadlineMs = options.defaultDeadlineMs
  }

  /** Highest version seen in any answer: what this client did and saw lies at or below it. */
  get seen(): Version {
    return this.#dispatcher.seen
  }

  /** Resolves once a node has said hello; UNAVAILABLE at the deadline, naming each endpoint and why it failed. */
  ready(call: CallOptions = {}): Promise<ServerHello> {
    return this.#one({ kind: 'hello' }, call, (answer) => (answer.kind === 'hello' ? answer.hello : null), 'hello')
  }

  /** Rows in the order asked, null where there is none. Linearizable unless the call asks for less; each range is read at a point of its own. */
  get(keys: readonly Key[], call: CallOptions = {}): Promise<readonly (Row | null)[]> {
    const refusal = refusedGet(keys)
    if (refusal !== null) return Promise.reject(refusal)
    if (keys.length === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      this.#dispatcher.start(
        { kind: 'get', keys, places: null, weak: call.weak },
        call,
        new GetJob(keys.length, resolve, reject),
      )
    })
  }

  /** One page, out of one range. Go on from `resume` with `at` until `resume` is null. */
  scanPage(page: PageRequest, call: CallOptions = {}): Promise<Page> {
    const body: ScanBody = { kind: 'scan', bytesMax: limits.scanBytesMax, weak: call.weak, ...page }
    const refusal = refusedPage(body)
    if (refusal !== null) return Promise.reject(refusal)
    return new Promise((resolve, reject) => {
      this.#dispatcher.start(body, call, {
        reject,
        resolve: (answer, { route }) => {
          const got = answer.kind === 'page' && route !== null ? pageOf(body, answer, route.span) : null
          if (got === null) reject(unexpected(answer, 'a page'))
          else resolve(got)
        },
      })
    })
  }

  /** All conditions hold and all is written, as one command of one range, at most once; or nothing is. */
  write(write: Omit<WriteBody, 'kind'>, call: CallOptions = {}): Promise<WriteResult> {
    const refusal = refusedWrite(write)
    if (refusal !== null) return Promise.reject(refusal)
    return this.#one({ kind: 'write', ...write }, call, writeResult, 'written')
  }

  /** Cuts the range that holds `at`: the new one begins with it. */
  split(at: Key, call: CallOptions = {}): Promise<RangeId> {
    return this.#one({ kind: 'split', at }, call, (answer) => (answer.kind === 'split' ? answer.child : null), 'split')
  }

  /** Has the voter of that range on node `to` lead it; done at once where it does already. */
  async transfer({ range, to }: { range: RangeId; to: NodeId }, call: CallOptions = {}): Promise<void> {
    const { deadlineMs = this.#defaultDeadlineMs } = call
    const untilMs = this.#clock.monotonicMs() + deadlineMs
    const found = await this.#routeOf(range, call, untilMs)
    const body = { kind: 'transfer', found, to } as const
    const take = (answer: Answer): Answer | null => (answer.kind === 'transferred' ? answer : null)
    await this.#one(body, this.#until(untilMs, call), take, 'transferred')
  }

  /**
   * One that was just born is not known everywhere: node after node is asked for routes, then for what it holds, until it
   * is found or is nowhere for certain.
   */
  async #routeOf(range: RangeId, call: CallOptions, untilMs: number): Promise<Route> {
    for (let turn = 0; ; turn++) {
      const { nodes, routes } = await this.#allRoutes(turn, this.#until(untilMs, call))
      const found = routes.find(({ descriptor }) => descriptor.range === range)
      if (found !== undefined) return found
      if ((turn + 1) % Math.max(1, nodes.length) !== 0) continue
      const answers = await this.#statuses(this.#until(untilMs, call))
      const held = heldOf(answers, range)
      if (held.newest !== null) return { descriptor: held.newest, leader: null }
      if (held.isNowhere) throw unknownRange(range)
      if (this.#clock.monotonicMs() >= untilMs) throw unfoundRange(range, this.#dispatcher.links.describe())
      await new Promise<void>((resolve) => this.#clock.setTimer(ASK_AGAIN_MS, resolve))
    }
  }

  #until(untilMs: number, call: CallOptions): CallOptions {
    return { ...call, deadlineMs: Math.max(1, untilMs - this.#clock.monotonicMs()) }
  }

  /** All ranges as some node knows them, in key order, and all nodes. A hint: it may lag. */
  routes(call: CallOptions = {}): Promise<{ routes: readonly Route[]; nodes: readonly NodeInfo[] }> {
    return this.#allRoutes(0, call)
  }

  /** Another `turn` asks another node. */
  async #allRoutes(turn: number, call: CallOptions): Promise<{ routes: readonly Route[]; nodes: readonly NodeInfo[] }> {
    const routes: Route[] = []
    let from: Key | null = '' as Key
    while (from !== null) {
      const body = { kind: 'routes', turn, from, limit: ROUTES_PER_REQUEST } as const
      const page: readonly Route[] = await this.#one(body, call, routesOf, 'routes')
      routes.push(...page)
      // A gap in what the node knows ends the list: asking on would bring the same.
      from = page.length < ROUTES_PER_REQUEST ? null : page.at(-1)!.descriptor.span.end
    }
    return { routes, nodes: this.#dispatcher.links.nodes }
  }

  /** Asks every node and puts the answers together; nodes that do not answer within two seconds are listed as down. */
  async status(call: CallOptions = {}): Promise<ClusterStatus> {
    const { cluster } = await this.ready(call)
    return mergeStatus(cluster, await this.#statuses(call))
  }

  async #statuses(call: CallOptions): Promise<readonly StatusAnswer[]> {
    const { links } = this.#dispatcher
    const answers = new Map<number, StatusAnswer>()
    for (;;) {
      const unasked = links.nodes.filter((info) => !answers.has(info.node))
      if (unasked.length === 0) break
      for (const answer of await Promise.all(unasked.map((info) => this.#statusOf(info, call)))) {
        answers.set(answer.info.node, answer)
        // It may know of nodes that nobody named before: these are asked next.
        if (answer.status !== null) links.learn(answer.status.nodes)
      }
    }
    const all = [...answers.values()]
    if (all.some(({ status }) => status !== null)) return all
    throw new HoldfastError('UNAVAILABLE', `no node answered: ${links.describe()}`)
  }

  /** Ends everything: open calls fail, writes that were sent as OUTCOME_UNKNOWN. */
  close(): void {
    this.#dispatcher.close()
  }

  #statusOf(info: NodeInfo, call: CallOptions): Promise<StatusAnswer> {
    const link = this.#dispatcher.links.forNode(info.node)
    if (link === undefined) return Promise.resolve({ info, status: null })
    const deadlineMs = Math.min(STATUS_DEADLINE_MS, call.deadlineMs ?? STATUS_DEADLINE_MS)
    return new Promise((resolve, reject) => {
      const ending: Ending = {
        resolve: (answer) => resolve({ info, status: answer.kind === 'status' ? answer.status : null }),
        reject: (error) => (error.code === 'CANCELLED' ? reject(error) : resolve({ info, status: null })),
      }
      this.#dispatcher.start({ kind: 'status', link }, { ...call, deadlineMs }, ending)
    })
  }

  #one<T>(body: Body, call: CallOptions, take: (answer: Answer) => T | null, expected: string): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#dispatcher.start(body, call, new One(take, expected, resolve, reject))
    })
  }
}

/** The end of a call that has one answer. */
class One<T> implements Ending {
  readonly #take: (answer: Answer) => T | null
  readonly #expected: string
  readonly #resolve: (value: T) => void
  readonly reject: (error: HoldfastError) => void

  constructor(
    take: (answer: Answer) => T | null,
    expected: string,
    resolve: (value: T) => void,
    reject: (error: HoldfastError) => void,
  ) {
    this.#take = take
    this.#expected = expected
    this.#resolve = resolve
    this.reject = reject
  }

  resolve(answer: Answer): void {
    const value = this.#take(answer)
    if (value === null) this.reject(unexpected(answer, this.#expected))
    else this.#resolve(value)
  }
}

function routesOf(answer: Answer): readonly Route[] | null {
  return answer.kind === 'routes' ? answer.routes : null
}

function writeResult(answer: Answer): WriteResult | null {
  return answer.kind === 'written' ? { version: answer.version, deleted: answer.deleted } : null
}
