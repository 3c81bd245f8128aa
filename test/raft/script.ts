import { assert } from '../../src/base/assert.js'
import type { Message, Ready } from '../../src/raft/types.js'
import { Cluster } from './cluster.js'
import { configuration, replica, voters } from './configuration.js'
import { entries, index, term } from './replica.js'

/** One line for a message: who to whom, what, in which term. */
function showMessage(message: Message): string {
  const head = `${message.from}>${message.to} ${message.type} t${message.term}`
  switch (message.type) {
    case 'preVote':
    case 'vote':
      return `${head} log ${message.lastIndex}/${message.lastTerm}`
    case 'preVoteReply':
    case 'voteReply':
      return `${head} ${message.granted ? 'yes' : 'no'}`
    case 'append': {
      const terms = message.entries.map(({ term }) => term).join(' ')
      return `${head} after ${message.previousIndex}/${message.previousTerm} [${terms}] commit ${message.commit}`
    }
    case 'appendAccepted':
      return `${head} match ${message.matchIndex}`
    case 'appendRejected':
      return message.needsSnapshot
        ? `${head} at ${message.rejectedIndex} needs a snapshot`
        : `${head} at ${message.rejectedIndex} hint ${message.hintIndex}/${message.hintTerm}`
    case 'heartbeat':
      return `${head} round ${message.round} commit ${message.commit}`
    case 'timeoutNow':
      return head
    case 'heartbeatReply':
      return `${head} round ${message.round} last ${message.lastIndex}`
  }
}

function showReady(id: number, ready: Ready): string[] {
  const { hardState, restored, entries, leadership, reads, failedReads, snapshots } = ready
  const lines: string[] = []
  if (leadership !== null)
    lines.push(`${id} is ${leadership.role} t${leadership.term} leader ${leadership.leader ?? '-'}`)
  if (hardState !== null) {
    lines.push(`${id} writes t${hardState.term} vote ${hardState.vote ?? '-'} commit ${hardState.commit}`)
  }
  if (restored !== null) lines.push(`${id} switches to ${restored.index}/${restored.term}`)
  if (entries.length > 0) lines.push(`${id} writes ${entries.map(({ index, term }) => `${index}/${term}`).join(' ')}`)
  for (const { context, index } of reads) lines.push(`${id} read ${context} at ${index}`)
  for (const context of failedReads) lines.push(`${id} read ${context} failed`)
  for (const to of snapshots) lines.push(`${id} asks for a snapshot to ${to}`)
  return lines
}

/**
 * Runs a script on three replicas, one command a line, and returns each command followed by its effects.
 *
 *   disk ID TERM...   what is on its disk when it starts again: the term of each entry
 *   wait ID           ticks until its wait for a leader ends
 *   elect ID          its wait ends, and it becomes the leader; prints nothing
 *   tick ID N         N ticks
 *   propose ID        the leader adds an entry
 *   read ID CONTEXT   asks for a read point
 *   place ID          a new replica is made, without a state
 *   change ID V O L   the leader proposes voters, outgoing and learners, each as digits or -
 *   cutlog ID KEEP    writes a checkpoint and cuts the log up to KEEP entries before it
 *   down ID, up ID    stops and starts again
 *   transfer ID TO    hands the lead on
 *   stream, break     the snapshot under way arrives, or is lost
 *   take ID           takes a Ready: what leaves at once
 *   sync ID           its oldest write is done: what leaves then
 *   deliver           the messages under way now arrive, in order
 *   cut ID            what is under way to or from it is lost
 *   run               take, sync and deliver until all is quiet; prints only roles, writes and reads
 */
export function runScript(script: string): string {
  const lines: string[] = []
  let printed: 'all' | 'effects' | 'nothing' = 'all'
  const cluster = new Cluster({
    configuration: voters(1, 2, 3),
    seed: 1,
    events: {
      ready: (node, ready) => {
        if (printed !== 'nothing') lines.push(...showReady(node.id, ready))
      },
      sent: (message) => {
        if (printed === 'all') lines.push(showMessage(message))
      },
    },
  })
  const act = (command: string, id: number, words: readonly string[]) => {
    const rest = words.map(Number)
    const node = cluster.nodes.get(id as never)!
    switch (command) {
      case 'disk':
        node.crash()
        node.disk.write({
          hardState: { term: term(rest.at(-1) ?? 0), vote: null, commit: index(0) },
          restored: null,
          entries: entries(1, rest),
        })
        node.start({ kind: 'follow' }, true)
        break
      case 'wait':
        while (node.up.role === 'follower') node.up.tick()
        break
      case 'elect':
        printed = 'nothing'
        cluster.elect(id)
        printed = 'all'
        break
      case 'tick':
        for (let n = 0; n < rest[0]!; n += 1) node.up.tick()
        break
      case 'propose':
        cluster.propose(node)
        break
      case 'place':
        cluster.place(id, null).start({ kind: 'follow' }, true)
        break
      case 'change': {
        const [voters, outgoing, learners] = words.map((word) => (word === '-' ? [] : [...word].map(Number)))
        const isTaken = cluster.change(
          node,
          configuration({ voters: voters!, outgoing: outgoing!, learners: learners! }),
        )
        if (!isTaken) lines.push('refused')
        break
      }
      case 'cutlog':
        node.checkpoint(rest[0]!)
        break
      case 'down':
        node.crash()
        break
      case 'up':
        node.start({ kind: 'follow' }, true)
        break
      case 'transfer':
        node.up.transferLead(replica(rest[0]!))
        break
      case 'stream':
      case 'break':
        for (const stream of cluster.streams.splice(0)) cluster.finish(stream, command === 'break')
        break
      case 'read':
        node.up.readIndex(rest[0]!)
        break
      case 'take':
        cluster.collect(node)
        break
      case 'sync':
        cluster.persist(node)
        break
      case 'deliver':
        for (const message of cluster.wire.splice(0)) cluster.deliver(message)
        break
      case 'cut':
        cluster.wire = cluster.wire.filter(({ from, to }) => from !== node.id && to !== node.id)
        break
      case 'run':
        printed = 'effects'
        cluster.settle()
        printed = 'all'
        break
      default:
        assert(false, 'no such command', command)
    }
  }
  for (const line of trimmed(script)) {
    if (!line.startsWith('> ')) continue
    lines.push(line)
    const [command, id, ...rest] = line.slice(2).split(' ')
    act(command!, Number(id), rest)
  }
  return lines.join('\n')
}

export function trimmed(script: string): string[] {
  return script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
