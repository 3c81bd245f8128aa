import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { ClusterId, NodeId } from '../base/ids.js'
import { openDataDirectory } from '../storage/data-directory.js'
import { type Identity, isSoleHolder, newIdentity, readIdentity, rejoined, writeIdentity } from '../storage/identity.js'
import { callIdentify } from '../transport/peer-calls.js'
import { newBootId, newToken } from './real-ports.js'

export interface RejoinOptions {
  readonly dataDirectory: string
  /** The id that the node had, and the peer address of a node that runs: for a directory that does not say who it was any more. */
  readonly from?: { readonly node: number; readonly join: string }
}

export interface Rejoined {
  readonly node: NodeId
  readonly cluster: ClusterId
  /** Where what it held lies now, in the data directory; null: there was nothing. */
  readonly aside: string | null
}

/** A live node at the address of the one that is to come back answers well within this. */
const ANSWER_MS_MAX = 2_000

/**
 * Makes a node that may have forgotten what it promised fit to start again, as itself and without the replicas it had: their log
 * and state are put aside, and its history gets a mark by which other nodes know. The node must not run.
 *
 * @throws HoldfastError NOT_PERMITTED while the directory is in use, the node runs elsewhere, or holds the only replicas of its cluster; INVALID_ARGUMENT where the directory
 * and the options don't say who it was; UNAVAILABLE when nobody answers at `join`.
 */
export async function rejoinNode({ dataDirectory, from }: RejoinOptions): Promise<Rejoined> {
  const directory = await openDataDirectory(dataDirectory, { mendFormat: true })
  try {
    const { files, isFormatNew } = directory
    const found = await readIdentity(files).catch((error: HoldfastError) => {
      if (from === undefined) throw error
      return null
    })
    const identity = await identityOf(found, { dataDirectory, ...(from === undefined ? {} : { from }) })
    const { cluster, node } = identity
    if (isSoleHolder(identity)) throw soleHolder(identity, { dataDirectory, isFormatNew })
    // The mark comes last: with it, and the old log, the node would be taken back with promises it may have forgotten.
    const aside = await directory.putAside(['log', 'state', ...(found === null ? ['node.json'] : [])])
    await writeIdentity(files, rejoined(identity, { token: newToken(), mark: newBootId() }))
    return { node: node!, cluster: cluster!, aside }
  } finally {
    await directory.release()
  }
}

async function identityOf(found: Identity | null, { dataDirectory, from }: RejoinOptions): Promise<Identity> {
  if (found !== null && found.cluster !== null) {
    if (from === undefined || from.node === found.node) return found
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `the data directory ${dataDirectory} is of node ${found.node}, not of node ${from.node}: leave --node and --join out, ` +
        'or give another directory',
    )
  }
  if (from !== undefined) return askedFor(from)
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `the data directory ${dataDirectory} belongs to no cluster. To bring a node back whose disk was lost, say with ` +
      '--node which one it was, and with --join the peer address of another one; a new node is just started, with --join',
  )
}

/** Who the node was is known by the others, too. */
async function askedFor({ node, join }: { node: number; join: string }): Promise<Identity> {
  const there = await callIdentify(join)
  const { cluster, nodes } = there
  if (cluster === null) throw new HoldfastError('UNAVAILABLE', `${join} belongs to no cluster`)
  const lost = nodes.find((each) => each.node === node)
  if (lost === undefined) {
    const known = nodes.map((each) => each.node).sort((a, b) => a - b)
    throw new HoldfastError('INVALID_ARGUMENT', `cluster ${cluster} has no node ${node}, only ${known.join(', ')}`)
  }
  if (there.node === node) throw stillRuns(node, join)
  await refuseLive(lost, cluster)
  const birth = { nodes, ranges: [], tokens: [] }
  return { ...newIdentity(newToken()), cluster, node: lost.node, birth }
}

/** Two nodes with one id would talk over each other. */
async function refuseLive({ node, peerAddress }: NodeInfo, cluster: ClusterId): Promise<void> {
  const there = await callIdentify(peerAddress, { deadlineMs: ANSWER_MS_MAX }).catch(() => null)
  if (there?.node === node && there.cluster === cluster) throw stillRuns(node, peerAddress)
}

function soleHolder(
  { cluster, node }: Identity,
  { dataDirectory, isFormatNew }: { dataDirectory: string; isFormatNew: boolean },
): HoldfastError {
  const what = isFormatNew
    ? 'The file FORMAT is written anew: if that was all, start the node. Else bring back the directory from a copy'
    : 'Bring back the directory from a copy'
  return new HoldfastError(
    'NOT_PERMITTED',
    `node ${node} holds the only replicas of cluster ${cluster}: without what ${dataDirectory} holds, no other node could give it ` +
      `new ones. Nothing was put aside. ${what}`,
  )
}

function stillRuns(node: number, address: string): HoldfastError {
  return new HoldfastError('NOT_PERMITTED', `node ${node} runs at ${address}: stop it before it rejoins`)
}
