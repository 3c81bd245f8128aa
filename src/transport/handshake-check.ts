import { HoldfastError } from '../base/errors.js'
import type { NodeId } from '../base/ids.js'
import type { BootHistory, PeerIdentity } from './peer-types.js'
import type { PeerChannelKind, PeerHello } from './wire/handshake.js'

/** Versions of the protocol between nodes that this program speaks. */
export const PROTOCOL = { lowest: 1, highest: 1 } as const

const NO_HISTORY: BootHistory = { boots: [], batches: [], rejoins: [] }

/** `isDialled`: it is the one who opens the session that says how it came here. */
export function helloOf(
  identity: PeerIdentity,
  to: { node: NodeId; channel: PeerChannelKind; wallMs: number; isDialled: boolean },
): PeerHello {
  return {
    cluster: identity.cluster,
    info: identity.info,
    boot: identity.boot,
    to: to.node,
    protocolLowest: PROTOCOL.lowest,
    protocolHighest: PROTOCOL.highest,
    wallMs: to.wallMs,
    channel: to.channel,
    history: to.isDialled ? identity.history : NO_HISTORY,
  }
}

/**
 * Why the two must not talk, or null. Both ends check, each on its own: neither trusts the other's word that they belong
 * together. `expected`: the node that was dialled.
 */
export function refusalOf(hello: PeerHello, own: PeerIdentity, expected: NodeId | null): HoldfastError | null {
  const them = `node ${hello.info.node} at ${hello.info.peerAddress}`
  if (hello.cluster !== own.cluster) {
    const message = `${them} belongs to cluster ${hello.cluster}, expected ${own.cluster}`
    return new HoldfastError('WRONG_CLUSTER', message)
  }
  if (hello.to !== own.node) {
    return new HoldfastError('INVALID_ARGUMENT', `${them} means node ${hello.to}, this is node ${own.node}`)
  }
  if (hello.info.node === own.node) {
    return new HoldfastError('INVALID_ARGUMENT', `${them} has this node's own id: two nodes with one identity`)
  }
  if (expected !== null && hello.info.node !== expected) {
    return new HoldfastError('INVALID_ARGUMENT', `${them} answered, expected node ${expected}`)
  }
  if (hello.protocolLowest > PROTOCOL.highest || hello.protocolHighest < PROTOCOL.lowest) {
    const spoken = `${hello.protocolLowest} to ${hello.protocolHighest}`
    const message = `${them} speaks protocols ${spoken}, expected one of ${PROTOCOL.lowest} to ${PROTOCOL.highest}`
    return new HoldfastError('INVALID_ARGUMENT', message)
  }
  return null
}
