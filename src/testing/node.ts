import { assert } from '../base/assert.js'
import type { NodeInfo } from '../base/descriptor.js'
import type { BootId, ClusterId, NodeId } from '../base/ids.js'
import type { Logger, RarePath } from '../base/ports.js'
import type { AppliedEntry } from '../kv/types.js'
import { type Identity, newIdentity, readIdentity, rejoined, writeIdentity } from '../storage/identity.js'
import type { LogItem, NodeLog, StateStore } from '../storage/types.js'
import type { Birth } from '../store/factory.js'
import type { PeerMessage } from '../store/ports.js'
import type { Replica } from '../store/replica.js'
import type { Store } from '../store/store.js'
import type { SimListener } from './connector.js'
import { SimDisk } from './disk.js'
import { NodeLife } from './life.js'
import type { Place } from './network.js'
import type { Packet, PeerWire } from './peer-sessions.js'
import type { SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import type { StateGuard } from './state-db.js'
import type { Tuning } from './tuning.js'

/** Who hears what a node does. All calls come from inside the node's turn. */
export interface NodeObserver {
  /** The log is open, and nothing of it has been used yet. */
  opened(node: SimNode, log: NodeLog): void
  /** Returns what to call once the items are durable. */
  logs(node: SimNode, items: readonly LogItem[]): () => void
  sends(node: SimNode, messages: readonly PeerMessage[]): void
  applied(node: SimNode, replica: Replica, applied: AppliedEntry): void
  /** Hands records to its state database; their physical keys. */
  stores(node: SimNode, keys: readonly Uint8Array[]): void
  serves(node: SimNode): void
  /** What it promised is lost: it puts its log aside and begins an empty one. */
  forgot(node: SimNode): void
  /** It ended itself (`fatal`), or its code threw. */
  failed(node: SimNode, reason: string): void
  /** It must not go on: its disk may have forgotten what it promised, as it found out itself or was told by another node. */
  keptOut(node: SimNode, why: string): void
}

export interface SimNodeOptions {
  readonly cluster: ClusterId
  readonly info: NodeInfo
  readonly birth: Birth
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly observer: NodeObserver
  readonly wire: (node: SimNode) => PeerWire
  /** Longest time of a log sync, in milliseconds. */
  readonly syncMsMax: number
  readonly clockOffsetMs: number
  /** Log that a node keeps for slow or dead replicas. */
  readonly keptBytesMax: number
  /** It syncs its state when it has logged this much. */
  readonly stateSyncEveryBytes: number
  /** How long it keeps replaced versions, and outcomes of requests, in milliseconds of log time. */
  readonly historyKeptMs: number
  readonly sessionKeptMs: number
  /** Of the simulated state database. */
  readonly stateWithout: readonly StateGuard[]
  readonly tuning: Tuning
  /** Whether to take a rare path without need, drawn from the life's own numbers. */
  buggify(path: RarePath, random: SeededRandom): boolean
  readonly logger?: Logger
}

/** A node: its disk, which stays, and its process, which comes and goes. The code in it is the real one. */
export class SimNode {
  readonly id: NodeId
  readonly place: Place
  readonly #options: SimNodeOptions
  readonly #random: SeededRandom
  readonly disk: SimDisk
  #life: NodeLife | null = null
  /** The machine itself is off: not even its system answers. */
  #isOff = false
  #isBlank = false
  #rejoining: Promise<void> | null = null

  constructor(options: SimNodeOptions) {
    this.#options = options
    this.id = options.info.node
    this.place = `node ${this.id}`
    this.#random = options.random.fork(this.place)
    const { scheduler, syncMsMax, stateWithout } = options
    this.disk = new SimDisk({ scheduler, random: this.#random, syncMsMax, stateWithout })
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

  /** All other nodes have taken it for the one they know, on the disk it runs on. */
  get isLetInByAll(): boolean {
    return this.#life?.peers?.isLetInByAll === true
  }

  /** Up to which batch its log is synced; null: it is not open. */
  get lastBatch(): number | null {
    return this.#life?.log?.lastBatch ?? null
  }

  /** What it is short of: serving, a disk that answers, replicas with a state, entries whose damage nobody has made up for. Null: nothing. */
  get lack(): string | null {
    const life = this.#life
    if (life === null || !life.serves || this.isPaused) return 'does not serve'
    if (this.disk.hangs) return 'waits for its disk'
    if (this.disk.db.isRotten) return 'has a damaged record'
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

  /** What the store above keeps its state in. */
  get state(): StateStore | null {
    return this.#life?.state ?? null
  }

  get listener(): SimListener | null {
    return this.#life?.listener ?? null
  }

  /** Writes on its empty disk who it is, and what it was born with. */
  async format(): Promise<void> {
    await writeIdentity(this.disk.files, this.#born())
  }

  /** Starts a process on what the disk holds. It serves when `observer.serves` has been called. */
  start(): void {
    if (this.#life !== null || this.#rejoining !== null) return
    this.#isOff = false
    const life = new NodeLife(this, this.#options, this.#random)
    this.#life = life
    this.disk.serve(life.process)
    void life.open()
  }

  #born(): Identity {
    const { cluster, info, birth } = this.#options
    return { ...newIdentity(this.#newToken()), cluster, node: info.node, birth: { ...birth, tokens: [] } }
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

  /** Its turns begin so many times later; a process started later is quick again. Returns how to make this one quick. */
  slowDown(factor: number): () => void {
    const process = this.#life?.process
    if (process === undefined) return () => {}
    process.slowness = factor
    return () => {
      process.slowness = 1
    }
  }

  /** Its clocks run faster by this part. Returns how to set them right: the monotonic one keeps what it gained. */
  drift(rate: number): () => void {
    const process = this.#life?.process
    if (process === undefined) return () => {}
    process.rate = rate
    return () => {
      process.rate = 0
      process.correctWallClock()
    }
  }

  /** Process and power go at once: what was not synced is lost, in part or whole, as the disk likes. */
  crash(): void {
    if (this.#end()) this.disk.crash()
  }

  /** The process alone ends: its system writes what it was given, and answers for it that nobody listens. */
  kill(): void {
    if (this.#end()) this.disk.kill()
  }

  /** Nobody answers for it until it starts again: who was connected is not told. */
  switchOff(): void {
    this.crash()
    this.#isOff = true
  }

  #end(): boolean {
    const life = this.#life
    if (life === null) return false
    this.#life = null
    life.end()
    return true
  }

  get isOff(): boolean {
    return this.#isOff
  }

  /** An empty disk is put into the node, which must be down. Somebody has to make it rejoin. */
  wipe(): void {
    this.#mustBeDown()
    this.disk.wipe()
    this.#isBlank = true
  }

  /** It has a disk on which nothing says who it is. */
  get isBlank(): boolean {
    return this.#isBlank
  }

  /** The state database of a node that is down is gone; its log is whole. */
  loseState(): void {
    this.#mustBeDown()
    this.disk.loseState()
  }

  /** What `holdfast node rejoin` does: the node comes back as itself and without the replicas it had. */
  rejoin(): Promise<void> {
    this.#rejoining ??= this.#rejoin().finally(() => {
      this.#rejoining = null
    })
    return this.#rejoining
  }

  async #rejoin(): Promise<void> {
    this.#mustBeDown()
    this.disk.serve(null)
    const { files, db } = this.disk
    const found = (await readIdentity(files)) ?? this.#born()
    files.drop('log')
    db.wipe()
    const mark = this.#random.id() as BootId
    await writeIdentity(files, rejoined(found, { token: this.#newToken(), mark }))
    this.#isBlank = false
  }

  #mustBeDown(): void {
    assert(this.#life === null, 'a disk is changed under a running node', this.id)
  }

  #newToken(): string {
    return this.#random.id().toString(16)
  }

  pause(how: { readonly suspended?: boolean } = {}): void {
    this.#life?.process.pause(how)
  }

  resume(): void {
    this.#life?.process.resume()
  }

  /** A packet arrives from another node. False: nobody listens, and the node's system says so. */
  receive(from: NodeId, packet: Packet): boolean {
    const life = this.#life
    if (life === null || life.peers === null) return this.#isOff || life?.process.isPaused === true
    const { peers } = life
    life.process.enter(() => peers.take(from, packet))
    return true
  }

  /** Whether a heartbeat in a session that another node opened would be answered. */
  answers(session: number): boolean {
    const life = this.#life
    return life !== null && !life.process.isPaused && life.peers?.accepts(session) === true
  }

  /** The connection to another node broke, and this one is told. */
  connectionLost(node: NodeId): void {
    const life = this.#life
    life?.process.enter(() => life.peers?.reset(node))
  }

  /** The connection that another node has to this one is forgotten here, and `node` is not told. */
  forgetConnection(node: NodeId): void {
    const life = this.#life
    life?.process.enter(() => life.peers?.forget(node))
  }
}
