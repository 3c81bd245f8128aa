import { type Identity, IdentityDamaged, newIdentity, readIdentity, writeIdentity } from '../storage/identity.js'
import type { Files } from '../storage/types.js'
import { callIdentify } from '../transport/peer-calls.js'
import { newToken } from './real-ports.js'

export interface OwnIdentityParts {
  readonly files: Files
  readonly dataDirectory: string
  /** Peer addresses that this node was told to join. */
  readonly join: readonly string[]
  /** Of this node, as others know it. */
  readonly peerAddress: string
}

/** Another node that runs answers well within this. */
const ANSWER_MS_MAX = 2_000

/**
 * Who this node is. The token of a new directory is on disk before anybody hears it: a birth is bound to it.
 *
 * @throws IdentityDamaged; its message names the command that brings the node back, whole where another node knows this one's address.
 */
export async function ownIdentity(parts: OwnIdentityParts): Promise<Identity> {
  const { files } = parts
  const found = await readIdentity(files).catch(async (error: unknown) => {
    throw error instanceof IdentityDamaged ? new IdentityDamaged(error.why, await whoItWas(parts)) : error
  })
  if (found !== null) return found
  const begun = newIdentity(newToken())
  await writeIdentity(files, begun)
  return begun
}

async function whoItWas({ dataDirectory, join, peerAddress }: OwnIdentityParts): Promise<string> {
  for (const address of join.filter((each) => each !== peerAddress)) {
    const there = await callIdentify(address, { deadlineMs: ANSWER_MS_MAX }).catch(() => null)
    const node = there?.nodes.find((each) => each.peerAddress === peerAddress)?.node
    if (node !== undefined) return `${dataDirectory} --node ${node} --join ${address}`
  }
  return `${dataDirectory} --node ID --join PEER`
}
