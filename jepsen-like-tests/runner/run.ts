import { mkdir } from 'node:fs/promises'
import { type Holdfast, HoldfastError } from '../../src/client/index.js'
import { lackOfHistory } from '../../src/testing/index.js'
import { messageOf, Scope } from '../command.js'
import { HistoryLog } from '../history.js'
import type { Battlefield, Nemesis } from '../nemeses/types.js'
import type { Network, NetworkOptions } from '../network/types.js'
import { eventually, type ProcessCluster } from '../processes.js'
import { pick, seeded } from '../random.js'
import { differingDigests, wholeAgain } from '../whole.js'
import { register } from '../workloads/register.js'
import type { Finding, RunningWorkload, Workload } from '../workloads/types.js'
import { type Bars, missing } from './bars.js'
import { startPrepared } from './cluster.js'
import { writeReport, writeSeen } from './report.js'
import { Storm } from './storm.js'
import { type Skipped, usableOf } from './usable.js'
import { judge } from './verdict.js'

const CONNECTIONS = 4
/** Of calls of the nemeses and of the last reads. */
const DEADLINE_MS = 3_000
const LAST_DEADLINE_MS = 20_000
/** A cluster in which nothing moves for this long, with nothing in its way, is stuck. */
const STUCK_AFTER_MS = 60_000
/** That many calls must end well after the last fault was healed. */
const CALLS_AFTER = 100
/** Of writes. Most of those are unknown: so a history is never without any. */
const HANG_UPS = 0.08
const LOOK_EVERY_MS = 100

export interface RunOptions {
  readonly name: string
  readonly workloads: readonly Workload[]
  /** Those that can't be done here are skipped. */
  readonly nemeses: readonly Nemesis[]
  readonly seed: number
  readonly nodes: number
  /** A folder for what the run leaves. */
  readonly out: string
  readonly bars: Bars
  /** Told, for a person, how far it is. Default: nobody is. */
  readonly say?: (line: string) => void
  readonly makeNetwork: (options: NetworkOptions, nemeses: readonly Nemesis[]) => Promise<Network>
}

export interface RunResult {
  readonly name: string
  readonly verdict: 'ok' | 'violated' | 'undecided'
  readonly findings: readonly Finding[]
  /** Why it proves too little. */
  readonly undecided: readonly string[]
  readonly skipped: readonly Skipped[]
  readonly history: HistoryLog
  readonly storm: Storm
  readonly seconds: number
}

/** One cluster, its clients, and what troubles it, from beginning to end. Everything it made is gone afterwards, but `out`. */
export async function runJepsen(options: RunOptions, outer: Scope): Promise<RunResult> {
  const scope = new Scope()
  outer.defer(options.name, () => scope.close())
  const run = new Run(options, scope)
  try {
    return await run.go()
  } catch (error) {
    throw run.withFindings(error)
  } finally {
    await scope.close()
  }
}

class Run {
  readonly #options: RunOptions
  readonly #scope: Scope
  readonly #random: () => number
  readonly #history = new HistoryLog()
  readonly #findings: Finding[] = []
  readonly #undecided: string[] = []

  constructor(options: RunOptions, scope: Scope) {
    this.#options = options
    this.#scope = scope
    this.#random = seeded(options.seed)
  }

  async go(): Promise<RunResult> {
    const { name, out, workloads } = this.#options
    const beginMs = performance.now()
    await mkdir(out, { recursive: true })
    const { makeNetwork, nodes } = this.#options
    const made = { scope: this.#scope, nodes, random: seeded(this.#options.seed + 2) }
    const network = await makeNetwork(made, this.#options.nemeses)
    const { skipped, usable: nemeses } = await usableOf(this.#options.nemeses, { nodes, network })
    this.#say(`starting ${nodes} nodes: ${network.kind}`)
    const { cluster, field } = await this.#begin(network, nemeses)
    const running = await this.#startClients(cluster)
    const storm = new Storm({
      nemeses,
      field,
      history: this.#history,
      served: () => this.#history.total().ok,
      struck: ({ nemesis, start_ns, what }) => this.#say(`${(start_ns / 1e9).toFixed(1)} s  ${nemesis}: ${what}`),
    })
    let isReported = false
    // However the run ends: what was seen until then is what a failure is looked for in.
    this.#scope.defer(`what was seen, in ${out}`, async () => {
      if (!isReported) await writeSeen(out, { history: this.#history, storm })
    })
    await this.#weather(storm, cluster)
    this.#say('all is healed; waiting for every replica')
    const lookAfter = (): void => this.#lookAfter(cluster, storm)
    const isWhole = await this.#recovers({ cluster, db: field.db, lookAfter }, running)
    await Promise.all(running.map((workload) => workload.stop()))
    if (isWhole) await this.#lastLook({ cluster, lookAfter }, running)
    lookAfter()
    this.#say(`judging ${this.#history.operations.length} operations`)
    const { findings, undecided } = judge(this.#history.operations)
    this.#findings.push(...findings)
    this.#undecided.push(...undecided.map((key) => `${key}: too hard to judge`))
    this.#demand()
    const contradictions = this.#history.errors.get('INTERNAL') ?? 0
    if (contradictions > 0) this.#finding(`${contradictions} calls ended with INTERNAL: a node found a contradiction`)
    for (const workload of workloads) {
      const { ok } = this.#history.tally(workload.name)
      if (ok === 0) this.#undecided.push(`${workload.name}: no operation ended well`)
    }
    const result: RunResult = {
      name,
      verdict: this.#findings.length > 0 ? 'violated' : this.#undecided.length > 0 ? 'undecided' : 'ok',
      findings: this.#findings,
      undecided: this.#undecided,
      skipped,
      history: this.#history,
      storm,
      seconds: (performance.now() - beginMs) / 1_000,
    }
    await writeReport(this.#options, result)
    isReported = true
    return result
  }

  /** What made the run fail may follow from what it had found. */
  withFindings(error: unknown): unknown {
    if (this.#findings.length === 0) return error
    const found = this.#findings.map(({ what }) => `  ${what}`).join('\n')
    return new Error(`${messageOf(error)}\nfound until then:\n${found}`, { cause: error })
  }

  async #begin(
    network: Network,
    nemeses: readonly Nemesis[],
  ): Promise<{ cluster: ProcessCluster; field: Battlefield }> {
    const { nodes, out, workloads } = this.#options
    const splitAt = workloads.flatMap((workload) => workload.splitAt).sort()
    const random = seeded(this.#options.seed + 1)
    const cluster = await startPrepared({ scope: this.#scope, out, nodes, network, nemeses, splitAt, random })
    const db = await this.#connect(cluster, DEADLINE_MS)
    const splitKey = (): string => pick(random, workloads).splitKey(random)
    const failed = (error: unknown): void => {
      if (!(error instanceof HoldfastError)) throw error
      if (error.code === 'INTERNAL') this.#finding(`a call of a nemesis ended with INTERNAL: ${error.message}`)
    }
    return { cluster, field: { cluster, db, network, random, splitKey, failed } }
  }

  async #startClients(cluster: ProcessCluster): Promise<RunningWorkload[]> {
    const connections: Holdfast[] = []
    for (let at = 0; at < CONNECTIONS; at++) connections.push(await this.#connect(cluster, DEADLINE_MS))
    const context = {
      history: this.#history,
      random: this.#random,
      connection: (caller: number) => connections[caller % CONNECTIONS]!,
      hangUps: HANG_UPS,
    }
    return Promise.all(this.#options.workloads.map((workload) => workload.start(context)))
  }

  async #connect(cluster: ProcessCluster, deadlineMs: number): Promise<Holdfast> {
    const db = await eventually('a connection', STUCK_AFTER_MS, () => cluster.connect({ deadlineMs }))
    this.#scope.defer('a connection', () => db.close())
    return db
  }

  /** Faults until enough was done, or the time is over. */
  async #weather(storm: Storm, cluster: ProcessCluster): Promise<void> {
    const { bars } = this.#options
    const untilMs = performance.now() + bars.secondsMax * 1_000
    const storming = storm.run(() => this.#lookAfter(cluster, storm))
    // Awaited below; a failure before that ends the wait.
    let hasFailed = false
    storming.catch(() => {
      hasFailed = true
    })
    while (!hasFailed && performance.now() < untilMs && this.#misses(storm).length > 0)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    storm.over()
    await storming
    this.#undecided.push(...this.#misses(storm).map((what) => `after ${bars.secondsMax} s: ${what}`))
  }

  /** Legal means little where too little happened. */
  #demand(): void {
    const { ok, keys, okPerKey, readShare, unknownShare } = this.#options.bars
    const operations = this.#history.operations.filter(({ key }) => key.startsWith(`${register.name}/`))
    if (operations.length === 0) return
    const lack = lackOfHistory(operations, {
      okMin: ok,
      busyKeysMin: { keys, ok: okPerKey },
      readShareMin: readShare,
      unknownShareMin: unknownShare,
    })
    if (lack !== null) this.#undecided.push(`${lack.lack}: ${lack.why}`)
  }

  #misses(storm: Storm): string[] {
    const first = this.#options.workloads[0]!
    return missing(this.#options.bars, {
      faultSeconds: storm.faultMs / 1_000,
      tally: this.#history.tally(first.name),
      unseen: storm.unseen,
    })
  }

  /** As a supervisor does: what ended is started again. Ending by itself is part of some faults and a finding in all others. */
  #lookAfter(cluster: ProcessCluster, storm: Storm): void {
    for (const [at, node] of cluster.nodes.entries()) {
      for (const end of node.ownEnds.splice(0))
        if (!storm.explains(node, end)) this.#finding(`node ${at + 1} ${end.what}; see its log`)
      if (node.endedByItself !== null) node.start()
    }
  }

  /** With nothing in its way any more it is whole again, and serves. */
  async #recovers(
    { cluster, db, lookAfter }: { cluster: ProcessCluster; db: Holdfast; lookAfter: () => void },
    running: readonly RunningWorkload[],
  ): Promise<boolean> {
    try {
      // What a fault has done to a node may show only now.
      await wholeAgain(cluster, db, STUCK_AFTER_MS, lookAfter)
      for (const { name } of this.#options.workloads) await this.#serves(name)
      for (const workload of running) await this.#hasSeenEnough(workload)
      return true
    } catch (error) {
      this.#finding(`the cluster does not recover: ${messageOf(error)}`)
      return false
    }
  }

  /** Its clients are served again: slowly on a slow machine, but never not at all for long. */
  async #serves(workload: string): Promise<void> {
    const goal = this.#history.tally(workload).ok + CALLS_AFTER
    for (let left = CALLS_AFTER; left > 0; left = goal - this.#history.tally(workload).ok) {
      const what = `a call of ${workload} that ends well after all was healed (${CALLS_AFTER - left} did)`
      await eventually(what, STUCK_AFTER_MS, async () => (goal - this.#history.tally(workload).ok < left ? true : null))
    }
  }

  async #hasSeenEnough(workload: RunningWorkload): Promise<void> {
    const lack = (): string | null => workload.lack?.() ?? null
    await eventually('enough seen', STUCK_AFTER_MS, async () => (lack() === null ? true : null)).catch(() => {})
    const stillLacking = lack()
    if (stillLacking !== null) this.#undecided.push(stillLacking)
  }

  /** What stands when nobody writes any more. */
  async #lastLook(
    { cluster, lookAfter }: { cluster: ProcessCluster; lookAfter: () => void },
    running: readonly RunningWorkload[],
  ): Promise<void> {
    const db = await this.#connect(cluster, LAST_DEADLINE_MS)
    for (const workload of running) this.#findings.push(...(await workload.check(db)))
    // These reads may be the first to come upon what a fault has done.
    await wholeAgain(cluster, db, STUCK_AFTER_MS, lookAfter)
    for (const difference of await differingDigests(db)) this.#finding(difference)
  }

  #say(line: string): void {
    this.#options.say?.(line)
  }

  /** Once: a node that ends at every start tells nothing new. */
  #finding(what: string): void {
    if (this.#findings.some((finding) => finding.what === what)) return
    this.#findings.push({ what, operations: [] })
  }
}
