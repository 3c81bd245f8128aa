import { HoldfastError } from '../base/errors.js'
import type { BootId } from '../base/ids.js'
import type { Buggify, Clock, Fatal, Logger } from '../base/ports.js'
import type { DataDirectory } from './data-directory.js'
import { type Identity, isSoleHolder, nextBootCounter, rejoined, withBoot, writeIdentity } from './identity.js'
import { LogForgot } from './log/forgot.js'
import { openNodeLog } from './log/log.js'
import type { Files, NodeLog, NodeRecord } from './types.js'

export interface OwnLogParts {
  readonly dataDirectory: string
  readonly files: Files
  readonly putAside: DataDirectory['putAside']
  readonly identity: Identity
  readonly boot: BootId
  readonly segmentBytes: number
  readonly clock: Clock
  readonly logger: Logger
  readonly fatal: Fatal
  readonly buggify?: Buggify
  /** A token for a directory that begins anew. */
  newToken(): string
}

/**
 * Opens the log of a member of a cluster and puts this start into the history of its boots, durably.
 *
 * The log is told first, then node.json. So the log's counter is node.json's or one more, and anything else shows that one of the
 * two is not of this place and time. A log that was lost, or that forgot, has forgotten votes and acknowledgements: this node never
 * speaks again under the replica ids it had. What it holds is put aside and it begins an empty log; the ranges give it new ids.
 *
 * @throws HoldfastError NOT_PERMITTED where the log is another directory's, or newer than node.json: somebody put files in the wrong
 * place, and the right ones may still be there. The message says what to run where they are not. NOT_PERMITTED, too, where what was
 * forgotten is nowhere else: nothing is put aside then.
 */
export async function openOwnLog(parts: OwnLogParts): Promise<{ log: NodeLog; identity: Identity }> {
  const found = await openWhole(parts)
  if (typeof found === 'string' && isSoleHolder(parts.identity)) throw nowhereElse(parts, found)
  const { log, identity } = typeof found === 'string' ? await beginAnew(parts, found) : { ...parts, log: found }
  try {
    const node = { ...log.node, disk: identity.token, boot: nextBootCounter(identity) }
    await new Promise<void>((resolve) => log.append([{ kind: 'node', ...node }], resolve))
    const booted = withBoot(identity, { id: parts.boot, batch: log.lastBatch })
    await writeIdentity(parts.files, booted)
    return { log, identity: booted }
  } catch (error) {
    await log.close()
    throw error
  }
}

/** The log, or why it has forgotten. */
async function openWhole(parts: OwnLogParts): Promise<NodeLog | string> {
  // Without a log there are no replicas: what such a state holds would be taken for theirs.
  if (!parts.identity.hasLog && (await parts.files.list('log')).length === 0) await parts.putAside(['state'])
  const log = await openLog(parts)
  if (typeof log === 'string') return log
  const forgot = verdictOn(log.node, parts) ?? rangesForgotten(log, parts)
  if (forgot === null) return log
  await log.close()
  if (forgot instanceof HoldfastError) throw forgot
  return forgot
}

async function openLog(parts: OwnLogParts): Promise<NodeLog | string> {
  try {
    return await openNodeLog(parts)
  } catch (error) {
    if (error instanceof LogForgot) return error.message
    throw error
  }
}

/** Ranges of which the log forgot something come back under new replica ids, but not where nobody else has them. */
function rangesForgotten({ recovered }: NodeLog, { identity }: OwnLogParts): string | null {
  const ranges = [...recovered].flatMap(([range, { forgot }]) => (forgot ? [range] : []))
  if (ranges.length === 0 || !isSoleHolder(identity)) return null
  return `what it held of range ${ranges.join(', ')} is damaged`
}

/** null: it is this directory's, and as new as it can be. A string: it has forgotten. An error: somebody has to look. */
function verdictOn(
  { disk, boot }: NodeRecord,
  { identity, dataDirectory }: OwnLogParts,
): string | HoldfastError | null {
  const last = nextBootCounter(identity) - 1
  if (disk === '') return identity.hasLog ? 'log/ is empty, but it was not' : null
  if (disk !== identity.token) {
    return misplaced(
      identity,
      dataDirectory,
      'log/ is of another data directory than node.json, or was put aside before',
    )
  }
  if (boot > last + 1) {
    return misplaced(identity, dataDirectory, `node.json is older than log/: it knows ${last} starts, the log ${boot}`)
  }
  return boot < last ? `log/ is an older copy: it knows ${boot} starts, node.json ${last}` : null
}

function misplaced(identity: Identity, dataDirectory: string, what: string): HoldfastError {
  const command =
    `, or run \`holdfast node rejoin --data ${dataDirectory}\`: what it holds is put aside, and the other nodes give it ` +
    'new replicas'
  return new HoldfastError(
    'NOT_PERMITTED',
    `the data directory ${dataDirectory} holds what does not belong together: ${what}. Bring back what was there` +
      (isSoleHolder(identity) ? '. No other node has a copy of what it held' : command),
  )
}

function nowhereElse({ dataDirectory, identity }: OwnLogParts, why: string): HoldfastError {
  return new HoldfastError(
    'NOT_PERMITTED',
    `node ${identity.node} holds the only replicas of its cluster, and its log has forgotten some of what was acknowledged: ${why}. ` +
      'No other node could give it back, so this one does not start. Nothing was moved or removed: everything that is left is ' +
      `in ${dataDirectory}. Bring back the whole directory from a copy`,
  )
}

async function beginAnew(parts: OwnLogParts, why: string): Promise<{ log: NodeLog; identity: Identity }> {
  const { files, logger } = parts
  const aside = await parts.putAside(['log', 'state'])
  const what = 'this node may have forgotten what it promised, so its replicas are gone; the ranges replace them'
  logger.log('error', `${what}: ${why}`, { aside })
  // The batches of the new log are counted from 1 again: without a mark the other nodes would take it for an older copy.
  const identity = rejoined(parts.identity, { token: parts.newToken(), mark: parts.boot })
  await writeIdentity(files, identity)
  const log = await openLog(parts)
  if (typeof log === 'string') throw new HoldfastError('INTERNAL', `a new log is damaged: ${log}`)
  return { log, identity }
}
