import type { BootId, LogIndex, RangeId, ReplicaId, Version } from '../../src/base/ids.js'
import type { Random } from '../../src/base/ports.js'
import { Raft } from '../../src/raft/raft.js'
import type {
  Configuration,
  Entry,
  InitialState,
  Message,
  RaftConfig,
  Ready,
  SnapshotPoint,
} from '../../src/raft/types.js'
import { decodeConfiguration, replica } from './configuration.js'
import { configurationOf, Disk, type State } from './disk.js'

export const RANGE = 7 as RangeId

export const testConfig = {
  heartbeatTicks: 2,
  electionTicksMin: 6,
  electionTicksMax: 12,
  appendMessagesInFlightMax: 4,
  appendBytesInFlightMax: 64,
  appendBytesMax: 16,
  tailBytesMax: 8,
  uncommittedBytesMax: 1_000,
} as const

/** mulberry32: small, seeded, good enough to draw timeouts. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}

/** What a leader streams: where it stands, and all of it. */
export interface Snapshot {
  readonly point: SnapshotPoint
  readonly state: State
}

/** One replica with its disk. Readies wait in `inFlight` until `persist`: a crash loses them. */
export class Node {
  readonly id: ReplicaId
  readonly disk: Disk
  readonly #random: Random
  readonly #config: Partial<RaftConfig>
  readonly inFlight: Ready[] = []
  readonly #staged = new Map<Ready, State>()
  #restored: State | null = null
  applied: readonly Entry[] = []
  /** Its state store is gone or damaged, its log is whole. */
  isStateLost = false
  /** Its log has been kept since before its id was given. */
  isVouched = false
  /** null: crashed. */
  raft: Raft | null = null
  boot = 0

  /** Without `birth` it waits for a snapshot. */
  constructor(id: number, birth: Configuration | null, random: Random, config: Partial<RaftConfig> = {}) {
    this.id = replica(id)
    this.disk = new Disk(birth)
    this.#random = random
    this.#config = config
  }

  get up(): Raft {
    if (this.raft === null) throw new Error(`replica ${this.id} is down`)
    return this.raft
  }

  get appliedIndex(): LogIndex {
    return this.applied.length as LogIndex
  }

  /** `grown`: it has been up for an election timeout, so it votes, and it will wait for a leader as long as may be. */
  start(start: InitialState['start'] = { kind: 'follow' }, grown = false): Raft {
    this.boot += 1
    let isGrowing = grown
    const identity = { range: RANGE, replica: this.id, boot: (this.id * 1000 + this.boot) as BootId }
    const initial = { ...this.disk.initial(), start, vouched: this.isVouched }
    this.raft = new Raft({ ...testConfig, ...this.#config, ...identity }, initial, this.disk, {
      random: { next: () => (isGrowing ? 0.999 : this.#random.next()) },
      nextTimestamp: (above: Version) => (above + 1) as Version,
      decodeConfiguration,
    })
    isGrowing = false
    for (let n = 0; grown && n < testConfig.electionTicksMin; n += 1) this.raft.tick()
    this.applied = this.disk.state?.applied ?? []
    if (this.isStateLost) this.raft.setFitness({ mayCampaign: false, needsSnapshot: true })
    return this.raft
  }

  /** Of what was being written, the oldest `kept` are on disk nevertheless. */
  crash(kept = 0): void {
    for (const ready of this.inFlight.slice(0, kept)) this.#write(ready)
    this.inFlight.length = 0
    this.#staged.clear()
    this.#restored = null
    this.raft = null
  }

  /** Takes a Ready; what it sends at once is returned, the rest waits for persist. */
  take(): Ready | null {
    const ready = this.up.takeReady()
    if (ready === null) return null
    this.inFlight.push(ready)
    if (ready.restored !== null) {
      if (this.#restored === null) throw new Error('restored what was not staged')
      this.#staged.set(ready, this.#restored)
      this.#restored = null
    }
    return ready
  }

  /** Completes the oldest write in flight and returns what may be sent now. */
  persist(): readonly Message[] {
    const ready = this.inFlight.shift()
    if (ready === undefined) return []
    this.#write(ready)
    const last = ready.entries.at(-1)
    this.up.persisted({
      hardState: ready.hardState,
      restored: ready.restored,
      lastEntry: last === undefined ? null : { index: last.index, term: last.term },
    })
    return ready.sendAfterPersist.filter((message) => this.up.stillValid(message))
  }

  #write(ready: Ready): void {
    this.disk.write(ready, this.#staged.get(ready))
    if (this.#staged.delete(ready)) this.isStateLost = false
  }

  /** Applies everything committed, in small bites. */
  apply(): readonly Entry[] {
    const fresh: Entry[] = []
    while (!this.isStateLost || this.#isRestoring) {
      const from = (this.appliedIndex + 1) as LogIndex
      const entries = this.up.committedEntries({ from, bytesMax: 20 })
      if (entries.length === 0) break
      fresh.push(...entries)
      this.applied = [...this.applied, ...entries]
      this.up.appliedTo(this.appliedIndex)
    }
    return fresh
  }

  /** A staged snapshot is in force, though its switch is not on disk yet. */
  get #isRestoring(): boolean {
    return this.#restored !== null || this.#staged.size > 0
  }

  snapshot(): Snapshot | null {
    const { applied } = this
    const birth = this.disk.state?.birth
    const last = applied.at(-1)
    if (birth === undefined || last === undefined || this.isStateLost) return null
    const state = { birth, applied }
    return { state, point: { ...last, configuration: configurationOf(state) } }
  }

  /** Returns whether it was of use. */
  restore({ point, state }: Snapshot): boolean {
    if (!this.up.restore(point)) return false
    this.up.setFitness({ mayCampaign: true, needsSnapshot: false })
    this.#restored = state
    this.applied = state.applied
    return true
  }

  /** Writes a checkpoint of what is applied and persisted, and cuts the log up to `keep` entries before it. */
  checkpoint(keep: number): void {
    const index = Math.min(this.appliedIndex, this.up.status().persisted)
    if (this.isStateLost || this.#isRestoring || this.disk.state === null || index <= this.disk.checkpoint) return
    this.disk.checkpointTo(this.applied.slice(0, index))
    this.truncateTo(index - keep)
  }

  truncateTo(index: number): void {
    if (index <= this.disk.truncated.index) return
    this.up.truncatedTo({ index: index as LogIndex, term: this.up.termAt(index as LogIndex) })
    this.disk.truncateTo(index as LogIndex)
  }
}
