import { assert } from '../base/assert.js'
import type { NodeInfo } from '../base/descriptor.js'
import type { HoldfastError } from '../base/errors.js'
import type { Clock, Random } from '../base/ports.js'
import type { PeerMessage, SnapshotMessage } from '../store/ports.js'
import { PeerChannel } from './peer-channel.js'
import type { PeerIdentity } from './peer-types.js'
import type { ProblemLog } from './problem-log.js'
import type { PeerChannelKind } from './wire/handshake.js'
import { encodePeerMessages, type FrameHeader } from './wire/peer-encoder.js'

/** A turn of less payload than this travels whole, as one frame on the control connection. */
const SMALL_TURN_BYTES = 64 * 1024
/** Bytes given to a connection and not sent yet, above which a turn is dropped. */
const CONTROL_UNSENT_BYTES_MAX = 4 * 1024 * 1024
const APPENDS_UNSENT_BYTES_MAX = 16 * 1024 * 1024
/** A chunk is asked for once the last one has come: more than one per snapshot never waits here. */
const SNAPSHOTS_UNSENT_BYTES_MAX = 8 * 1024 * 1024

/** One other node: its three connections, and which of them a message takes. */
export class Peer {
  readonly info: NodeInfo
  readonly #identity: PeerIdentity
  readonly #header: () => FrameHeader
  readonly #control: PeerChannel
  readonly #appends: PeerChannel
  readonly #snapshots: PeerChannel

  constructor(options: {
    info: NodeInfo
    identity: PeerIdentity
    lastBatch: () => number
    clock: Clock
    random: Random
    problems: ProblemLog
    onDown: () => void
    onKeptOut: (error: HoldfastError) => void
  }) {
    this.info = options.info
    this.#identity = options.identity
    const { info, identity, lastBatch, clock, random, problems } = options
    // Asked for when a frame is made: what it says was synced by then.
    this.#header = () => ({ wallMs: clock.wallMs(), batch: lastBatch() })
    const channel = (kind: PeerChannelKind, unsentBytesMax: number, onDown: () => void): PeerChannel => {
      const subject = `session to node ${info.node} (${kind})`
      const events = {
        onUp: () => void problems.maybeLog(subject, null),
        onProblem: (problem: string) => void problems.maybeLog(subject, problem),
        onDown,
        onKeptOut: options.onKeptOut,
      }
      return new PeerChannel({
        kind,
        identity,
        peer: info,
        header: this.#header,
        clock,
        random,
        unsentBytesMax,
        events,
      })
    }
    this.#control = channel('control', CONTROL_UNSENT_BYTES_MAX, options.onDown)
    // What went down with this one raft repeats when the next append is refused; the node itself is still there.
    this.#appends = channel('appends', APPENDS_UNSENT_BYTES_MAX, () => {})
    this.#snapshots = channel('snapshots', SNAPSHOTS_UNSENT_BYTES_MAX, () => {})
  }

  get isConnected(): boolean {
    return this.#control.isUp
  }

  get connections(): number {
    return this.#channels.filter(({ isUp }) => isUp).length
  }

  get unsentBytes(): number {
    return this.#channels.reduce((sum, { unsentBytes }) => sum + unsentBytes, 0)
  }

  get #channels(): readonly PeerChannel[] {
    return [this.#control, this.#appends, this.#snapshots]
  }

  send(all: readonly PeerMessage[]): void {
    if (!this.#control.isUp) return
    const header = this.#header()
    const messages = this.#sendSnapshots(all, header)
    if (messages.length === 0) return
    const { bytes, appends } = this.#weigh(messages)
    // Appends follow each other on one connection until the peer has them all: one that overtakes looks like a gap.
    const takesBoth = appends > 0 && this.#appends.isUp && (bytes >= SMALL_TURN_BYTES || !this.#appends.isDrained)
    if (!takesBoth) {
      this.#control.maybeSend(encodePeerMessages(messages, header))
      return
    }
    const large = messages.filter(hasEntries)
    this.#appends.maybeSend(encodePeerMessages(large, header))
    if (large.length === messages.length) return
    const rest = messages.filter((message) => !hasEntries(message))
    this.#control.maybeSend(encodePeerMessages(rest, header))
  }

  /** Returns what else there is. Snapshots never take another connection: their ends ask again for what was dropped. */
  #sendSnapshots(messages: readonly PeerMessage[], header: FrameHeader): readonly PeerMessage[] {
    const snapshots = messages.filter(isOfSnapshot)
    if (snapshots.length === 0) return messages
    this.#snapshots.maybeSend(encodePeerMessages(snapshots, header))
    return messages.filter((message) => !isOfSnapshot(message))
  }

  close(): void {
    for (const channel of this.#channels) channel.close()
  }

  #weigh(messages: readonly PeerMessage[]): { bytes: number; appends: number } {
    let bytes = 0
    let appends = 0
    for (const message of messages) {
      if ('boot' in message) {
        const own = message.boot === this.#identity.boot
        assert(own, 'a message of another boot', message.boot, this.#identity.boot)
      }
      bytes += 40
      if (!hasEntries(message)) continue
      appends++
      for (const entry of message.entries) bytes += entry.payload.length
    }
    return { bytes, appends }
  }
}

function hasEntries(message: PeerMessage): message is Extract<PeerMessage, { type: 'append' }> {
  return message.type === 'append' && message.entries.length > 0
}

const snapshotTypes: readonly string[] = [
  'snapshotOffer',
  'snapshotPull',
  'snapshotChunk',
  'snapshotRefused',
] satisfies SnapshotMessage['type'][]

function isOfSnapshot(message: PeerMessage): message is SnapshotMessage {
  return snapshotTypes.includes(message.type)
}
