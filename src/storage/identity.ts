import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { assert } from '../base/assert.js'
import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import type { BootId, ClusterId, Key, NodeId } from '../base/ids.js'
import { LOG_DIRECTORY } from './log/segments.js'
import type { Files } from './types.js'

/** One start of the node. `counter` is 1 for the first. */
export interface Boot {
  readonly counter: number
  readonly id: BootId
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
  boots: z.array(z.strictObject({ counter: id, id })),
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
 * Throws INVALID_ARGUMENT for one that is damaged or of a newer format, or that is gone while the node's log is still
 * there: it is never replaced by guesswork, because a node that forgot who it is could vote twice.
 */
export async function readIdentity(files: Files): Promise<Identity | null> {
  const bytes = await files.read(FILE)
  if (bytes === null) {
    if ((await files.list(LOG_DIRECTORY)).length > 0)
      throw refused(`it is missing, but ${LOG_DIRECTORY}/ holds a node's log`)
    return null
  }
  const json = parse(Buffer.from(bytes).toString('utf8'))
  if (typeof json.format === 'number' && json.format > FORMAT) {
    throw refused(`it is of format ${json.format}, this program knows up to ${FORMAT}`)
  }
  const { checksum, ...contents } = json
  if (checksum !== checksumOf(contents)) throw refused('its checksum does not fit its contents')
  const parsed = identitySchema.safeParse(contents)
  if (!parsed.success) throw refused(z.prettifyError(parsed.error).replaceAll('\n', ' '))
  return parsed.data as unknown as Identity
}

/** Durable when it resolves; atomic. */
export async function writeIdentity(files: Files, identity: Identity): Promise<void> {
  assert((identity.cluster === null) === (identity.node === null), 'a node id without a cluster', identity)
  const contents = toJson(identity)
  const text = `${JSON.stringify({ ...contents, checksum: checksumOf(contents) }, null, 2)}\n`
  await files.replace(FILE, new Uint8Array(Buffer.from(text, 'utf8')))
}

/** Appends this start to the history of boots; durable when it resolves, so before the node speaks (PROTOCOLS 4). */
export async function recordBoot(files: Files, identity: Identity, boot: BootId): Promise<Identity> {
  const counter = (identity.boots.at(-1)?.counter ?? 0) + 1
  const next = { ...identity, boots: [...identity.boots, { counter, id: boot }] }
  await writeIdentity(files, next)
  return next
}

function toJson({ format, cluster, node, boots, birth, token }: Identity): Record<string, unknown> {
  const ranges = birth?.ranges.map((range) => ({ ...range, span: spanToJson(range.span) }))
  return { format, cluster, node, boots, birth: birth === null ? null : { ...birth, ranges }, token }
}

function spanToJson({ start, end }: Descriptor['span']) {
  return { start: keyToJson(start), end: end === null ? null : keyToJson(end) }
}

function keyToJson(stored: Key): { $bytes: string } {
  return { $bytes: Buffer.from(stored, 'latin1').toString('base64') }
}

/** Over the contents as JSON without spaces: parsing and printing again keeps members in their order. */
function checksumOf(contents: Record<string, unknown>): string {
  return crc32(JSON.stringify(contents)).toString(16).padStart(8, '0')
}

function parse(text: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw refused((error as Error).message)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refused('it is not an object')
  return json as Record<string, unknown>
}

function refused(why: string): HoldfastError {
  return new HoldfastError(
    'INVALID_ARGUMENT',
    `${FILE} in the data directory is damaged, missing or not readable by this program: ${why}. ` +
      'It says who this node is, so the node does not start without it: bring the file back, or give the node an empty directory to join anew',
  )
}
