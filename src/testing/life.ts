import { assert } from '../base/assert.js'
import { HoldfastError } from '../base/errors.js'
import type { BootId } from '../base/ids.js'
import { type Buggify, silentLogger } from '../base/ports.js'
import { BootsSeen } from '../storage/boots-seen.js'
import { replicaCodec } from '../storage/codec/replica-codec.js'
import { historyOf, type Identity, readIdentity } from '../storage/identity.js'
import { openOwnLog } from '../storage/own-log.js'
import { openStateStore } from '../storage/state/state-store.js'
import type { Files, NodeLog, StateStore } from '../storage/types.js'
import type { Birth } from '../store/factory.js'
import { Store } from '../store/store.js'
import type { SimListener } from './connector.js'
import type { SimNode, SimNodeOptions } from './node.js'
import { ObservedLog } from './observed-log.js'
import { PeerSessions } from './peer-sessions.js'
import { describeBug, ProcessEnded, SimProcess } from './process.js'
import type { SeededRandom } from './random.js'

/** A turn begins this long after the first that came for it: whatever comes until then goes into the same turn. */
const TURN_MS = 0.2
const CACHE_VALUE_BYTES_MAX = 256
/** Much more often than in reality: an old copy of a disk is put back once the others have it from their own disks that it is one. */
const BOOTS_WRITTEN_EVERY_MS = 1_000

/** One life of a node's process: what a crash ends. It is composed as the real one is, over simulated ports. */
export class NodeLife {
  readonly process: SimProcess
  readonly listener: SimListener
  readonly #node: SimNode
  readonly #options: SimNodeOptions
  readonly #random: SeededRandom
  readonly #boot: BootId
  /** The disk, as this process sees it. */
  readonly #files: Files
  #log: NodeLog | null = null
  #state: StateStore | null = null
  #store: Store | null = null
  #peers: PeerSessions | null = null
  #serves = false
  #isOver = false

  /** `random`: the node's. */
  constructor(node: SimNode, options: SimNodeOptions, random: SeededRandom) {
    this.#node = node
    this.#options = options
    this.#boot = random.id() as BootId
    this.#random = random.fork(`life ${this.#boot}`)
    this.process = new SimProcess({
      scheduler: options.scheduler,
      settles: false,
      deferMs: TURN_MS,
      onFatal: (reason) => this.#failed(reason),
      onBug: (error) => this.#failed(describeBug(error)),
    })
    this.process.wallOffsetMs = options.clockOffsetMs
    this.#files = node.disk.files.mount()
    this.listener = {
      place: node.place,
      process: this.process,
      hello: () => (this.#serves ? (this.#store?.hello() ?? null) : null),
      submit: (requests, sink) => this.#store?.submit(requests, sink),
    }
  }

  get log(): NodeLog | null {
    return this.#log
  }

  /** null: it is still opening its files. */
  get store(): Store | null {
    return this.#store
  }

  /** What the store above keeps its state in. */
  get state(): StateStore | null {
    return this.#state
  }

  /** null: it does not listen to other nodes yet. */
  get peers(): PeerSessions | null {
    return this.#peers
  }

  /** Whether it answers clients. */
  get serves(): boolean {
    return this.#serves
  }

  /** Nothing of it happens any more. */
  end(): void {
    this.#isOver = true
    this.process.end()
  }

  async open(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'NOT_PERMITTED') this.#keptOut(error)
      else this.#failed(error instanceof ProcessEnded ? error.message : describeBug(error))
    }
  }

  async #open(): Promise<void> {
    const { observer, logger = silentLogger } = this.#options
    const { clock, fatal } = this.process
    const files = this.#files
    const found = await readIdentity(files)
    assert(found !== null, 'nobody told the node who it is', this.#node.id)
    const bootsSeen = await BootsSeen.open(files, { clock, logger, writeEveryMs: BOOTS_WRITTEN_EVERY_MS })
    const { log, identity } = await openOwnLog({
      dataDirectory: this.#node.place,
      identity: found,
      putAside: (names) => this.#putAside(names),
      newToken: () => this.#random.id().toString(16),
      segmentBytes: this.#options.tuning.segmentBytes,
      buggify: this.#buggify(),
      ...{ files, boot: this.#boot, clock, fatal, logger },
    })
    this.#log = log
    observer.opened(this.#node, log)
    const peers = this.#connect(identity, bootsSeen, log)
    const store = this.#compose(log, identity.birth ?? { nodes: [], ranges: [] }, peers)
    this.#store = store
    this.process.enter(() => {
      for (const node of identity.birth?.nodes ?? []) peers.setPeer(node)
      store.start(() => {
        this.#serves = true
        observer.serves(this.#node)
      })
      this.#peers = peers
    })
  }

  #connect(identity: Identity, bootsSeen: BootsSeen, log: NodeLog): PeerSessions {
    const { cluster, info, wire } = this.#options
    return new PeerSessions({
      identity: { cluster, node: info.node, boot: this.#boot, info, history: historyOf(identity) },
      lastBatch: () => log.lastBatch,
      bootsSeen,
      process: this.process,
      random: this.#random.fork('peers'),
      wire: wire(this.#node),
      frame: (frame) => this.#store?.receive(frame),
      nodeSeen: (node) => this.#store?.nodeSeen(node),
      down: (node) => this.#store?.peerDown(node),
      keptOut: (error) => this.#keptOut(error),
    })
  }

  #compose(log: NodeLog, birth: Birth, peers: PeerSessions): Store {
    const { cluster, info, observer, logger = silentLogger } = this.#options
    const { keptBytesMax, stateSyncEveryBytes, historyKeptMs, sessionKeptMs, tuning } = this.#options
    const { clock, fatal } = this.process
    const { disk, stateMarker: marker } = log.node
    const { db } = this.#node.disk
    db.onBatch = (keys) => observer.stores(this.#node, keys)
    const stateVerdict = db.open({ disk, marker })
    const state = openStateStore({
      db,
      cacheBytes: tuning.cacheBytes,
      cacheValueBytesMax: CACHE_VALUE_BYTES_MAX,
      onDamage: (damage) => this.#store?.stateDamaged(damage),
      ...{ clock, fatal, logger },
    })
    this.#state = state
    return new Store({
      cluster,
      self: info,
      boot: this.#boot,
      birth,
      log: new ObservedLog(log, (items) => observer.logs(this.#node, items)),
      state,
      stateVerdict,
      codec: replicaCodec,
      transport: {
        send: (to, messages) => {
          observer.sends(this.#node, messages)
          peers.send(to, messages)
        },
      },
      random: this.#random.fork('store'),
      ...{ stateSyncEveryBytes, historyKeptMs, sessionKeptMs },
      logKeptForSlowBytes: keptBytesMax,
      snapshotChunkBytes: tuning.snapshotChunkBytes,
      ...(tuning.sessionOutcomesMax === undefined ? {} : { sessionOutcomesMax: tuning.sessionOutcomesMax }),
      raft: tuning.raft,
      buggify: this.#buggify(),
      onNode: (node) => peers.setPeer(node),
      onApplied: (replica, applied) => observer.applied(this.#node, replica, applied),
      ...{ clock, fatal, logger },
    })
  }

  #buggify(): Buggify {
    const random = this.#random.fork('buggify')
    return (path) => this.#options.buggify(path, random)
  }

  /** What a real one moves away is of no use to anybody here. */
  async #putAside(names: readonly string[]): Promise<string | null> {
    const { db, files } = this.#node.disk
    if (names.includes('state')) db.wipe()
    const had = names.filter((name) => files.drop(name))
    if (had.includes('log')) this.#options.observer.forgot(this.#node)
    return had.length === 0 ? null : 'aside-1'
  }

  #keptOut(error: HoldfastError): void {
    if (this.#isOver) return
    this.end()
    this.#options.observer.keptOut(this.#node, error.message)
  }

  #failed(reason: string): void {
    if (this.#isOver) return
    this.end()
    this.#options.observer.failed(this.#node, reason)
  }
}
