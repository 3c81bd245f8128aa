import { z } from 'zod'
import { assert } from '../base/assert.js'
import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { BootId, ClusterId, Key, NodeId } from '../base/ids.js'
import { parseChecked, parseObject, printChecked } from './checked-json.js'
import { LOG_DIRECTORY } from './log/segments.js'
import type { Files } from './types.js'

/** One start of the node. `counter` is 1 for the first; `batch` is the one of the log in which it was written down. */
export interface Boot {
  readonly counter: number
  readonly id: BootId
  readonly batch: number
}

/** What the cluster, or this node's part of it, began with. */
export interface Birth {
  readonly nodes: readonly NodeInfo[]
  readonly ranges: readonly Descriptor[]
  /** Which data directory, by its token, became which node. */
  readonly tokens: readonly { readonly node: NodeId; readonly token: string }[]
}

/** Who this data directory is: node.json. */
export interface Identity {
  readonly format: 1
  /** null: it belongs to no cluster yet. Once set it never changes. */
  readonly cluster: ClusterId | null
  /** null as long as `cluster` is. */
  readonly node: NodeId | null
  /** Every start of the node since it was made, oldest first. Never cut. */
  readonly boots: readonly Boot[]
  /**
   * A mark for each time it came back without the replicas it had, oldest first. Never cut. It tells the other nodes that what it
   * said before, it said under replica ids that it will not use again.
   */
  readonly rejoins: readonly BootId[]
  /** A log was begun under this identity: one that is empty from now on was lost. */
  readonly hasLog: boolean
  readonly birth: Birth | null
  /** Drawn with the directory: who joins twice with one token is one node. */
  readonly token: string
}

const FILE = 'node.json'
const FORMAT = 1

const id = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const key = z
  .strictObject({ $bytes: z.base64() })
  .transform(({ $bytes }) => Buffer.from($bytes, 'base64').toString('latin1'))
const nodeInfo = z.strictObject({ node: id, clientAddress: z.string(), peerAddress: z.string(), pid: count })
const replica = z.strictObject({ replica: id, node: id, role: z.enum(['voter', 'learner', 'incoming', 'outgoing']) })
const descriptor = z.strictObject({
  range: id,
  span: z.strictObject({ start: key, end: key.nullable() }),
  generation: count,
  epoch: count,
  replicas: z.array(replica),
  nextReplica: id,
})
const identitySchema = z.strictObject({
  format: z.literal(FORMAT),
  cluster: z.string().nullable(),
  node: id.nullable(),
  boots: z.array(z.strictObject({ counter: id, id, batch: id })),
  rejoins: z.array(id),
  hasLog: z.boolean(),
  birth: z
    .strictObject({
      nodes: z.array(nodeInfo),
      ranges: z.array(descriptor),
      tokens: z.array(z.strictObject({ node: id, token: z.string() })),
    })
    .nullable(),
  token: z.string(),
})

/**
 * null: the directory has no node.json yet.
 *
 * Throws IdentityDamaged for one that is damaged or of a newer format, or that is gone while the node's log is still
 * there: it is never replaced by guesswork, because a node that forgot who it is could vote twice.
 */
export async function readIdentity(files: Files): Promise<Identity | null> {
  const bytes = await files.read(FILE)
  if (bytes === null) {
    if ((await files.list(LOG_DIRECTORY)).length > 0)
      throw refused(`it is missing, but ${LOG_DIRECTORY}/ holds a node's log`)
    return null
  }
  const json = parseObject(bytes)
  if (json instanceof Error) throw refused(json.message)
  if (typeof json.format === 'number' && json.format > FORMAT) {
    throw refused(`it is of format ${json.format}, this program knows up to ${FORMAT}`)
  }
  const contents = parseChecked(bytes)
  if (contents === null) throw refused('its checksum does not fit its contents')
  const parsed = identitySchema.safeParse(contents)
  if (!parsed.success) throw refused(z.prettifyError(parsed.error).replaceAll('\n', ' '))
  return parsed.data as unknown as Identity
}

/** Durable when it resolves; atomic. */
export async function writeIdentity(files: Files, identity: Identity): Promise<void> {
  assert((identity.cluster === null) === (identity.node === null), 'a node id without a cluster', identity)
  await files.replace(FILE, printChecked(toJson(identity)))
}

/** A directory's first identity: it belongs to no cluster. */
export function newIdentity(token: string): Identity {
  return { format: FORMAT, cluster: null, node: null, boots: [], rejoins: [], hasLog: false, birth: null, token }
}

/** The number of the next start. One that ended before it was written down here has the same. */
export function nextBootCounter({ boots }: Identity): number {
  return (boots.at(-1)?.counter ?? 0) + 1
}

/** With this start in its history. Must be durable, in our log first (own-log.ts) and then here, before the node speaks (decision 0009). */
export function withBoot(identity: Identity, boot: { readonly id: BootId; readonly batch: number }): Identity {
  const counter = nextBootCounter(identity)
  return { ...identity, boots: [...identity.boots, { counter, ...boot }], hasLog: true }
}

/**
 * The same node, of which no replica is left: also those that it was born with are not made again, because their ids have voted.
 * Other nodes replace them by new ones. By its new token a log from before is told, should somebody bring it back; by its mark, a
 * random one, its peers take it again, whatever start and log they saw of it last.
 */
export function rejoined(identity: Identity, { token, mark }: { token: string; mark: BootId }): Identity {
  const birth = identity.birth === null ? null : { ...identity.birth, ranges: [] }
  return { ...identity, birth, hasLog: false, token, rejoins: [...identity.rejoins, mark] }
}

/**
 * All ranges that it was born with have their replicas here only, and so have those split from them: no other node could give
 * back what this one loses.
 */
export function isSoleHolder({ birth, node }: Identity): boolean {
  const ranges = birth?.ranges ?? []
  return ranges.length > 0 && ranges.every(({ replicas }) => replicas.every((replica) => replica.node === node))
}

/** As other nodes are told it. `batches`: of each boot, the one of the log in which it was written down. */
export function historyOf({ boots, rejoins }: Identity): {
  boots: readonly BootId[]
  batches: readonly number[]
  rejoins: readonly BootId[]
} {
  return { boots: boots.map(({ id }) => id), batches: boots.map(({ batch }) => batch), rejoins }
}

function toJson({ birth, ...rest }: Identity): Record<string, unknown> {
  const ranges = birth?.ranges.map((range) => ({ ...range, span: spanToJson(range.span) }))
  return { ...rest, birth: birth === null ? null : { ...birth, ranges } }
}

function spanToJson({ start, end }: Descriptor['span']) {
  return { start: keyToJson(start), end: end === null ? null : keyToJson(end) }
}

function keyToJson(stored: Key): { $bytes: string } {
  return { $bytes: Buffer.from(stored, 'latin1').toString('base64') }
}

function refused(why: string): IdentityDamaged {
  return new IdentityDamaged(why, 'DIRECTORY --node ID --join PEER')
}

/** node.json can't be read: nobody here knows who this node is. Code INVALID_ARGUMENT. */
export class IdentityDamaged extends HoldfastError {
  override readonly name = 'IdentityDamaged'
  readonly why: string

  /** `who`: what follows --data in the command that brings the node back, as far as it is known. */
  constructor(why: string, who: string) {
    super(
      'INVALID_ARGUMENT',
      `${FILE} in the data directory is damaged, missing or not readable by this program: ${why}. ` +
        'It says who this node is, so the node does not start without it: bring the file back, or run ' +
        `\`holdfast node rejoin --data ${who}\` with the id that the node had and the peer address of another one`,
    )
    this.why = why
  }
}
