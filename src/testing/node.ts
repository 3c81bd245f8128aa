import { assert } from '../base/assert.js'
import type { NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId, NodeId } from '../base/ids.js'
import { type Logger, silentLogger } from '../base/ports.js'
import type { AppliedEntry } from '../kv/types.js'
import { replicaCodec } from '../storage/codec/replica-codec.js'
import { LogForgot } from '../storage/log/forgot.js'
import { openNodeLog } from '../storage/log/log.js'
import { openStateStore } from '../storage/state/state-store.js'
import type { LogItem, NodeLog, StateStore, StateVerdict } from '../storage/types.js'
import type { Birth } from '../store/factory.js'
import type { PeerFrame, PeerMessage } from '../store/ports.js'
import type { Replica } from '../store/replica.js'
import { Store } from '../store/store.js'
import type { SimListener } from './connector.js'
import { MemoryFiles } from './files.js'
import type { Place } from './network.js'
import { ObservedLog } from './observed-log.js'
import { describeBug, ProcessEnded, SimProcess } from './process.js'
import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import { MemoryStateDb } from './state-db.js'

/** Small, so that a run of a minute fills and frees many segments. */
const SEGMENT_BYTES = 256 * 1024
/** A turn begins this long after the first that came for it: whatever comes until then goes into the same turn. */
const TURN_MS = 0.2
/** Small, so that a snapshot takes many steps to fail between. */
const SNAPSHOT_CHUNK_BYTES = 4 * 1024
/** Small, so that reads that miss are common. */
const CACHE_BYTES = 1024
const CACHE_VALUE_BYTES_MAX = 256

/** Who hears what a node does. All calls come from inside the node's turn. */
export interface NodeObserver {
  /** The log is open, and nothing of it has been used yet. */
  opened(node: SimNode, log: NodeLog): void
  /** Returns what to call once the items are durable. */
  logs(node: SimNode, items: readonly LogItem[]): () => void
  sends(node: SimNode, to: NodeId, messages: readonly PeerMessage[]): void
  applied(node: SimNode, replica: Replica, applied: AppliedEntry): void
  serves(node: SimNode): void
  /** What it promised is lost: it goes on with an empty disk, as a real one does that puts its log aside. */
  forgot(node: SimNode): void
  /** It ended itself (`fatal`), or its code threw. */
  failed(node: SimNode, reason: string): void
}

export interface SimNodeOptions {
  readonly cluster: ClusterId
  readonly info: NodeInfo
  readonly birth: Birth
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly observer: NodeObserver
  /** Longest time of a log sync, in milliseconds. */
  readonly syncMsMax: number
  readonly clockOffsetMs: number
  /** Log that a node keeps for slow or dead replicas. */
  readonly keptBytesMax: number
  /** It syncs its state when it has logged this much. */
  readonly stateSyncEveryBytes: number
  readonly logger?: Logger
}

/** One life of a node's process: what a crash ends. */
interface Life {
  readonly boot: BootId
  readonly process: SimProcess
  readonly listener: SimListener
  log: NodeLog | null
  store: Store | null
  serves: boolean
}

/** A node: its disk, which stays, and its process, which comes and goes. The code in it is the real one. */
export class SimNode {
  readonly id: NodeId
  readonly place: Place
  readonly #options: SimNodeOptions
  readonly #random: SeededRandom
  #files: MemoryFiles
  #db: MemoryStateDb
  /** Its disk is not the one it was born with. */
  #isWiped = false
  #life: Life | null = null
  /** What the disk has not answered while it hangs; null: it does not hang. */
  #unanswered: (() => void)[] | null = null

  constructor(options: SimNodeOptions) {
    this.#options = options
    this.id = options.info.node
    this.place = `node ${this.id}`
    this.#random = options.random.fork(this.place)
    this.#files = this.#newFiles()
    this.#db = this.#newDb()
  }

  #newFiles(): MemoryFiles {
    return new MemoryFiles({ schedule: this.#disk(true), random: this.#random.fork('files') })
  }

  /** The state store is made of callbacks alone. */
  #newDb(): MemoryStateDb {
    const options = { schedule: this.#disk(false), random: this.#random.fork('state') }
    return new MemoryStateDb({ ...options, latencyMs: 0.1, syncLatencyMs: 5 })
  }

  get info(): NodeInfo {
    return this.#options.info
  }

  get isUp(): boolean {
    return this.#life !== null
  }

  get isPaused(): boolean {
    return this.#life?.process.isPaused === true
  }

  /** Whether it answers clients. */
  get serves(): boolean {
    return this.#life?.serves === true
  }

  /** What it is short of: serving, a disk that answers, replicas with a state, entries whose damage nobody has made up for. Null: nothing. */
  get lack(): string | null {
    const life = this.#life
    if (life === null || !life.serves || this.isPaused) return 'does not serve'
    if (this.#unanswered !== null) return 'waits for its disk'
    if (this.#db.isRotten) return 'has a damaged record'
    for (const { range, applied, hasState } of life.store!.replicas) {
      if (!hasState) return `has no state of range ${range}`
      // What was applied before its entry was damaged is in the state.
      const damaged = life.log!.damaged(range).find((index) => index > applied)
      if (damaged !== undefined) return `has damaged entry ${damaged} of range ${range}`
    }
    return null
  }

  /** null: no process, or it is still opening its files. */
  get store(): Store | null {
    return this.#life?.store ?? null
  }

  get listener(): SimListener | null {
    return this.#life?.listener ?? null
  }

  /** Starts a process on what the disk holds. It serves when `observer.serves` has been called. */
  start(): void {
    if (this.#life !== null) return
    const { scheduler, observer, clockOffsetMs } = this.#options
    const process = new SimProcess({
      scheduler,
      settles: false,
      deferMs: TURN_MS,
      onFatal: (reason) => observer.failed(this, reason),
      onBug: (error) => observer.failed(this, describeBug(error)),
    })
    process.wallOffsetMs = clockOffsetMs
    const life: Life = {
      boot: this.#random.id() as BootId,
      process,
      listener: this.#listen(process),
      log: null,
      store: null,
      serves: false,
    }
    this.#life = life
    void this.#open(life)
  }

  /** Its wall clock is set; a process started later has it right again. Returns how to set it back. */
  jumpClock(byMs: number): () => void {
    const process = this.#life?.process
    if (process === undefined) return () => {}
    process.wallOffsetMs += byMs
    return () => {
      process.wallOffsetMs -= byMs
    }
  }

  /** Process and power go at once: what was not synced is lost, in part or whole, as the disk likes. */
  crash(): void {
    const life = this.#life
    if (life === null) return
    this.#life = null
    life.process.end()
    this.#unanswered = null
    this.#files.crash()
    this.#db.crash()
  }

  /** An empty disk is put in; the node, which must be down, is told who it is and knows nothing else. */
  wipe(): void {
    assert(this.#life === null, 'a disk is changed under a running node', this.id)
    this.#replaceDisk()
  }

  #replaceDisk(): void {
    this.#files = this.#newFiles()
    this.#db = this.#newDb()
    this.#isWiped = true
  }

  /** The state database of a node that is down is gone; its log is whole. */
  loseState(): void {
    assert(this.#life === null, 'a disk is changed under a running node', this.id)
    this.#db = this.#newDb()
  }

  /** The disks, to fill them up, or to do harm. */
  get disks(): { readonly files: MemoryFiles; readonly db: MemoryStateDb } {
    return { files: this.#files, db: this.#db }
  }

  pause(how: { readonly suspended?: boolean } = {}): void {
    this.#life?.process.pause(how)
  }

  resume(): void {
    this.#life?.process.resume()
  }

  /** The disk takes what it is given and answers nothing more, until `releaseDisk` or a crash. */
  hangDisk(): void {
    this.#unanswered ??= []
  }

  releaseDisk(): void {
    const unanswered = this.#unanswered ?? []
    this.#unanswered = null
    for (const action of unanswered) action()
  }

  /** A frame arrives from another node. */
  receive(frame: PeerFrame): void {
    const life = this.#life
    life?.process.enter(() => life.store?.receive(frame))
  }

  /** The connection to another node broke. */
  peerDown(node: NodeId): void {
    const life = this.#life
    life?.process.enter(() => life.store?.peerDown(node))
  }

  async #open(life: Life): Promise<void> {
    const { observer, logger = silentLogger } = this.#options
    const { clock, fatal } = life.process
    try {
      const files = this.#files
      const opened = await this.#openLog({ files, segmentBytes: SEGMENT_BYTES, clock, fatal, logger })
      if (this.#life !== life || this.#files !== files) return
      if (opened === null) return this.#beginAnew(life)
      life.log = opened
      observer.opened(this, opened)
      const log = new ObservedLog(opened, (items) => observer.logs(this, items))
      const { disk, stateMarker: marker } = opened.node
      const verdict = this.#db.open({ disk, marker })
      const state = openStateStore({
        db: this.#db,
        cacheBytes: CACHE_BYTES,
        cacheValueBytesMax: CACHE_VALUE_BYTES_MAX,
        clock: life.process.clock,
        onDamage: (damage) => life.store?.stateDamaged(damage),
        fatal,
        logger,
      })
      const store = this.#compose(life, log, state, verdict)
      life.process.enter(() =>
        store.start(() => {
          life.serves = true
          observer.serves(this)
        }),
      )
      life.store = store
    } catch (error) {
      if (this.#life === life) observer.failed(this, error instanceof ProcessEnded ? error.message : describeBug(error))
    }
  }

  /** null: it has forgotten. */
  async #openLog(options: Parameters<typeof openNodeLog>[0]): Promise<NodeLog | null> {
    try {
      return await openNodeLog(options)
    } catch (error) {
      if (error instanceof LogForgot) return null
      throw error
    }
  }

  #beginAnew(life: Life): void {
    this.#replaceDisk()
    this.#options.observer.forgot(this)
    void this.#open(life)
  }

  #compose(life: Life, log: NodeLog, state: StateStore, stateVerdict: StateVerdict): Store {
    const { cluster, info, birth, keptBytesMax, stateSyncEveryBytes, observer, logger = silentLogger } = this.#options
    return new Store({
      cluster,
      self: info,
      boot: life.boot,
      birth: this.#isWiped ? { nodes: birth.nodes, ranges: [] } : birth,
      log,
      state,
      stateVerdict,
      codec: replicaCodec,
      transport: { send: (to, messages) => observer.sends(this, to, messages) },
      clock: life.process.clock,
      random: this.#random.fork(`store ${life.boot}`),
      logger,
      fatal: life.process.fatal,
      stateSyncEveryBytes,
      logKeptForSlowBytes: keptBytesMax,
      snapshotChunkBytes: SNAPSHOT_CHUNK_BYTES,
      onApplied: (replica, applied) => observer.applied(this, replica, applied),
    })
  }

  /** The frame that carries `messages` to another node, stamped with this process. */
  frame(messages: readonly PeerMessage[]): PeerFrame {
    const { boot, process } = this.#life!
    return { from: this.id, boot, wallMs: process.clock.wallMs(), messages }
  }

  #listen(process: SimProcess): SimListener {
    const storeOf = () => this.#life?.store ?? null
    return {
      place: this.place,
      process,
      hello: () => (this.serves ? (storeOf()?.hello() ?? null) : null),
      submit: (requests, sink) => storeOf()?.submit(requests, sink),
    }
  }

  /** `settles`: promise-based code waits for it. */
  #disk(settles: boolean): (latencyMs: number, action: () => void) => void {
    return (latencyMs, action) => {
      const life = this.#life
      const jitterMs = this.#random.next() * this.#options.syncMsMax
      const answer = () => life?.process.enter(action)
      const arrive = () => (this.#unanswered === null ? answer() : this.#unanswered.push(answer))
      this.#options.scheduler.schedule(latencyMs + jitterMs, arrive, settles)
    }
  }
}
