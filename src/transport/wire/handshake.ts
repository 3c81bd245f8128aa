import type { NodeInfo } from '../../base/descriptor.js'
import type { BootId, ClusterId, NodeId } from '../../base/ids.js'
import type { BootHistory } from '../peer-types.js'
import { encode } from './frames.js'
import { clusterOf, idOf, readNode, writeNode } from './nouns.js'
import { ANSWER, FRAME, HELLO } from './peer-tags.js'
import { Reader, WireError } from './reader.js'
import type { Writer } from './writer.js'

/** One connection each: what is large must not hold up elections and acknowledgements. */
export type PeerChannelKind = 'control' | 'appends' | 'snapshots'

/** By their numbers on the wire. */
const channels: readonly PeerChannelKind[] = ['control', 'appends', 'snapshots']

/** First words of both ends of a session between nodes. */
export interface PeerHello {
  readonly cluster: ClusterId
  readonly info: NodeInfo
  readonly boot: BootId
  /** The node that is meant. */
  readonly to: NodeId
  readonly protocolLowest: number
  readonly protocolHighest: number
  readonly wallMs: number
  readonly channel: PeerChannelKind
  /** Of the dialler only; empty in the answer. */
  readonly history: BootHistory
}

/** The dialler's first frame. */
export function encodePeerHello(hello: PeerHello): Buffer {
  return encode((writer) => writeHello(writer, FRAME.hello, hello))
}

/** The answer to it; without a hello, the answer to a heartbeat. */
export function encodePeerAnswer(hello: PeerHello | null): Buffer {
  return encode((writer) => {
    if (hello !== null) writeHello(writer, ANSWER.hello, hello)
  })
}

/** The hello of a first frame or answer, null: there is none. Throws WireError. */
export function decodePeerHello(frame: Uint8Array): PeerHello | null {
  const reader = new Reader(frame)
  let hello: PeerHello | null = null
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === FRAME.hello) hello = readHello(reader)
    else reader.skip()
  }
  return hello
}

function writeHello(writer: Writer, tag: number, hello: PeerHello): void {
  writer.open(tag)
  writer.utf8(HELLO.cluster, hello.cluster)
  writeNode(writer, HELLO.info, hello.info)
  writer.uint(HELLO.boot, hello.boot)
  writer.uint(HELLO.to, hello.to)
  writer.uint(HELLO.protocolLowest, hello.protocolLowest)
  writer.uint(HELLO.protocolHighest, hello.protocolHighest)
  writer.uint(HELLO.wallMs, Math.floor(hello.wallMs))
  writer.uint(HELLO.channel, channels.indexOf(hello.channel))
  writer.uints(HELLO.boots, hello.history.boots)
  writer.uints(HELLO.rejoins, hello.history.rejoins)
  writer.uints(HELLO.batches, hello.history.batches)
  writer.close()
}

function readHello(reader: Reader): PeerHello {
  const outer = reader.enter()
  let cluster = ''
  let info: NodeInfo | null = null
  let boots: number[] = []
  let rejoins: number[] = []
  let batches: number[] = []
  const numbers = { boot: 0, to: 0, protocolLowest: 0, protocolHighest: 0, wallMs: 0, channel: 0 }
  for (let tag = reader.next(); tag !== 0; tag = reader.next()) {
    if (tag === HELLO.cluster) cluster = reader.utf8()
    else if (tag === HELLO.info) info = readNode(reader)
    else if (tag === HELLO.boot) numbers.boot = reader.uint()
    else if (tag === HELLO.to) numbers.to = reader.uint()
    else if (tag === HELLO.protocolLowest) numbers.protocolLowest = reader.uint()
    else if (tag === HELLO.protocolHighest) numbers.protocolHighest = reader.uint()
    else if (tag === HELLO.wallMs) numbers.wallMs = reader.uint()
    else if (tag === HELLO.channel) numbers.channel = reader.uint()
    else if (tag === HELLO.boots) boots = reader.uints()
    else if (tag === HELLO.rejoins) rejoins = reader.uints()
    else if (tag === HELLO.batches) batches = reader.uints()
    else reader.skip()
  }
  reader.leave(outer)
  if (info === null) throw new WireError('a hello says nothing of its node')
  if (batches.length !== boots.length) throw new WireError(`${boots.length} boots have ${batches.length} batches`)
  const channel = channels[numbers.channel]
  if (channel === undefined) {
    throw new WireError(`channel ${numbers.channel} is not known, expected 0 to ${channels.length - 1}`)
  }
  return {
    cluster: clusterOf(cluster),
    info,
    boot: idOf<BootId>(numbers.boot, 'boot'),
    to: idOf<NodeId>(numbers.to, 'node id'),
    protocolLowest: numbers.protocolLowest,
    protocolHighest: numbers.protocolHighest,
    wallMs: numbers.wallMs,
    channel,
    history: {
      boots: boots.map((boot) => idOf<BootId>(boot, 'a boot of the history')),
      batches: batches.map((batch) => idOf(batch, 'a batch of the history')),
      rejoins: rejoins.map((mark) => idOf<BootId>(mark, 'a mark of the history')),
    },
  }
}
