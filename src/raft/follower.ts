import { assert } from '../base/assert.js'
import type { LogIndex, ReplicaId } from '../base/ids.js'
import type { Core } from './core.js'
import type { Append, Entry, Heartbeat } from './types.js'

/** An append of the leader of the present term (thesis 3.5, 3.6). */
export function onAppend(core: Core, message: Append): void {
  assert(message.term === core.term, 'an append of another term', message.term, core.term)
  core.follow(message.from)
  if (core.isEmpty || !matches(core, message)) {
    reject(core, message)
    return
  }
  const fresh = withoutKnown(core, message.entries)
  if (fresh.length > 0) core.acceptEntries(fresh)
  // Up to here, and no further, this log is known to be the leader's: entries behind may be another leader's.
  const matchIndex = Math.max(core.commit, message.previousIndex + message.entries.length) as LogIndex
  const commit = Math.min(message.commit, matchIndex) as LogIndex
  if (commit > core.commit) core.commitTo(commit)
  core.learnAllPersisted(message.allPersisted)
  core.outbox.acknowledge(message.from, matchIndex)
}

/** A leader caps the commit by what this replica acknowledged, so one beyond the log's end is not for this log. */
export function onHeartbeat(core: Core, message: Heartbeat): void {
  assert(message.term === core.term, 'a heartbeat of another term', message.term, core.term)
  core.follow(message.from)
  const { lastIndex } = core.log
  if (message.commit > core.commit && message.commit <= lastIndex) core.commitTo(message.commit)
  core.learnAllPersisted(message.allPersisted)
  answer(core, message.from, message.round)
}

/**
 * A message of a leader whose term is over, or whom this replica has left behind: tells it the term, or a replica that
 * went ahead alone would be deaf to its leader for ever. Confirms no round: rounds are numbered per term.
 */
export function tellTerm(core: Core, { from, term }: Append | Heartbeat): void {
  assert(term < core.term, 'the term is not old', term, core.term)
  answer(core, from, 0)
}

function answer(core: Core, to: ReplicaId, round: number): void {
  const { needsSnapshot } = core
  const { lastIndex } = core.log
  core.send({ type: 'heartbeatReply', ...core.envelope(to), round, lastIndex, needsSnapshot })
}

/** What is committed is in every later leader's log (leader completeness), so a place before it needs no comparison. */
function matches(core: Core, { previousIndex, previousTerm }: Append): boolean {
  if (previousIndex < core.commit) return true
  return previousIndex <= core.log.lastIndex && core.log.term(previousIndex) === previousTerm
}

/** The entries from the first one that is not in the log. Nothing is cut for entries that are there already. */
function withoutKnown(core: Core, entries: readonly Entry[]): readonly Entry[] {
  const { log, commit } = core
  const from = entries.findIndex(
    ({ index, term }) => index > commit && (index > log.lastIndex || log.term(index) !== term),
  )
  return from < 0 ? [] : entries.slice(from)
}

function reject(core: Core, message: Append): void {
  const hintIndex = core.log.lastAtMostTerm({
    from: message.previousIndex,
    term: message.previousTerm,
    floor: core.commit,
  })
  core.send({
    type: 'appendRejected',
    ...core.envelope(message.from),
    rejectedIndex: message.previousIndex,
    hintIndex,
    hintTerm: core.log.term(hintIndex),
    needsSnapshot: core.isEmpty,
  })
}
