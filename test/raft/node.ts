import type { BootId, LogIndex, RangeId, ReplicaId, Version } from '../../src/base/ids.js'
import type { Random } from '../../src/base/ports.js'
import { Raft } from '../../src/raft/raft.js'
import type { Configuration, Entry, InitialState, Message, RaftConfig, Ready } from '../../src/raft/types.js'
import { Disk } from './disk.js'

export const RANGE = 7 as RangeId
export const replica = (id: number) => id as ReplicaId

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

export function voters(...ids: number[]): Configuration {
  return { voters: ids.map(replica), outgoing: [], learners: [] }
}

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

/** One replica with its disk. Readies wait in `inFlight` until `persist`: a crash loses them. */
export class Node {
  readonly id: ReplicaId
  readonly disk = new Disk()
  readonly configuration: Configuration
  readonly #random: Random
  readonly #config: Partial<RaftConfig>
  readonly inFlight: Ready[] = []
  readonly applied: Entry[] = []
  /** null: crashed. */
  raft: Raft | null = null
  boot = 0
  appliedIndex = 0 as LogIndex

  constructor(id: number, configuration: Configuration, random: Random, config: Partial<RaftConfig> = {}) {
    this.id = replica(id)
    this.configuration = configuration
    this.#random = random
    this.#config = config
  }

  get up(): Raft {
    if (this.raft === null) throw new Error(`replica ${this.id} is down`)
    return this.raft
  }

  start(start: InitialState['start'] = { kind: 'follow' }): Raft {
    this.boot += 1
    const { configuration } = this
    const identity = { range: RANGE, replica: this.id, boot: (this.id * 1000 + this.boot) as BootId }
    const initial = { ...this.disk.initial(this.configuration), start }
    this.raft = new Raft({ ...testConfig, ...this.#config, ...identity }, initial, this.disk, {
      random: this.#random,
      nextTimestamp: (above: Version) => (above + 1) as Version,
      decodeConfiguration: () => configuration,
    })
    this.appliedIndex = this.disk.checkpoint
    this.applied.length = this.appliedIndex
    return this.raft
  }

  crash(): void {
    this.inFlight.length = 0
    this.raft = null
  }

  /** Takes a Ready; what it sends at once is returned, the rest waits for persist. */
  take(): Ready | null {
    const ready = this.up.takeReady()
    if (ready !== null) this.inFlight.push(ready)
    return ready
  }

  /** Completes the oldest write in flight and returns what may be sent now. */
  persist(): readonly Message[] {
    const ready = this.inFlight.shift()
    if (ready === undefined) return []
    this.disk.write(ready)
    const last = ready.entries.at(-1)
    this.up.persisted({
      hardState: ready.hardState,
      lastEntry: last === undefined ? null : { index: last.index, term: last.term },
    })
    return ready.sendAfterPersist.filter((message) => this.up.stillValid(message))
  }

  /** Applies everything committed, in small bites. */
  apply(): readonly Entry[] {
    const fresh: Entry[] = []
    for (;;) {
      const from = (this.appliedIndex + 1) as LogIndex
      const entries = this.up.committedEntries({ from, bytesMax: 20 })
      if (entries.length === 0) return fresh
      fresh.push(...entries)
      this.applied.push(...entries)
      this.appliedIndex = entries.at(-1)!.index
      this.up.appliedTo(this.appliedIndex)
    }
  }
}
