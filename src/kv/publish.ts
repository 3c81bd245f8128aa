import type { Descriptor, NodeInfo } from '../base/descriptor.js'
import type { Key, NodeId, RangeId, Version } from '../base/ids.js'
import { META_RANGE } from '../base/ids.js'
import { compareEnds } from '../base/span.js'
import type { Draft } from './draft.js'
import {
  type Counter,
  counterKey,
  decodeDescriptor,
  decodeId,
  decodeNode,
  descriptorKey,
  encodeMeta,
  nodeKey,
  tokenKey,
} from './meta.js'
import type { AllocateCommand, Outcome, PublishCommand } from './types.js'

const ELSEWHERE: Outcome = { kind: 'invalid', reason: 'only the meta range publishes and allocates' }

/**
 * Where ids start. Ranges and nodes that a cluster is born with have ids that no counter gave, so a counter begins above
 * them: it comes into being with the first publish whose descriptors cover the whole key space, which before the
 * first allocation can only be all ranges of birth. That publish must also name every node of birth. Until then nothing is
 * allocated. Every later publish raises a counter that it finds at or below an id it names.
 */
export function applyPublish(command: PublishCommand, range: RangeId, draft: Draft): Outcome {
  if (range !== META_RANGE) return ELSEWHERE
  for (const [key, descriptor] of newestByEnd(command.descriptors)) {
    const stored = draft.present(key)
    if (stored !== null && !isNews(descriptor, decodeDescriptor(stored.value))) continue
    draft.put(key, command.version, 'json', encodeMeta(descriptor))
  }
  for (const [id, node] of new Map(command.nodes.map((each) => [each.node, each]))) {
    const stored = draft.present(nodeKey(id))
    if (stored !== null && isSameNode(node, decodeNode(stored.value))) continue
    draft.put(nodeKey(id), command.version, 'json', encodeMeta(node))
  }
  const complete = coversEverything(command.descriptors)
  raise('range', highestRange(command) + 1, { complete, draft, version: command.version })
  raise('node', highestNode(command) + 1, { complete, draft, version: command.version })
  return { kind: 'done', version: command.version }
}

/** Hands out `count` ids from `first` on. With a token, the same token gets the same `first` again. */
export function applyAllocate(command: AllocateCommand, range: RangeId, draft: Draft): Outcome {
  const { counter, count, token, version } = command
  if (range !== META_RANGE) return ELSEWHERE
  if (!Number.isSafeInteger(count) || count < 1) return { kind: 'invalid', reason: `cannot allocate ${count} ids` }
  const given = token === null ? null : draft.present(tokenKey(counter, token))
  if (given !== null) return { kind: 'allocated', version, first: decodeId(given.value) }
  const stored = draft.present(counterKey(counter))
  if (stored === null) {
    return {
      kind: 'invalid',
      reason: 'the ranges and nodes of birth must be published, in one command, before ids are given',
    }
  }
  const first = decodeId(stored.value)
  if (!Number.isSafeInteger(first + count)) return { kind: 'invalid', reason: `cannot allocate ${count} ids` }
  draft.put(counterKey(counter), version, 'json', encodeMeta(first + count))
  if (token !== null) draft.put(tokenKey(counter, token), version, 'json', encodeMeta(first))
  return { kind: 'allocated', version, first }
}

/** One record per key: of two descriptors with one end, the newer. */
function newestByEnd(descriptors: readonly Descriptor[]): Map<Key, Descriptor> {
  const newest = new Map<Key, Descriptor>()
  for (const descriptor of descriptors) {
    const key = descriptorKey(descriptor.span.end)
    const other = newest.get(key)
    if (other === undefined || isNews(descriptor, other)) newest.set(key, descriptor)
  }
  return newest
}

function isNews(descriptor: Descriptor, known: Descriptor): boolean {
  if (descriptor.generation !== known.generation) return descriptor.generation > known.generation
  return descriptor.epoch > known.epoch
}

function isSameNode(a: NodeInfo, b: NodeInfo): boolean {
  return a.clientAddress === b.clientAddress && a.peerAddress === b.peerAddress && a.pid === b.pid
}

function coversEverything(descriptors: readonly Descriptor[]): boolean {
  const spans = descriptors.map(({ span }) => span).sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0))
  let covered: Key | null = '' as Key
  for (const { start, end } of spans) {
    if (covered === null || start > covered) break
    if (compareEnds(end, covered) > 0) covered = end
  }
  return covered === null
}

function highestRange({ descriptors }: PublishCommand): RangeId {
  return descriptors.reduce((highest, { range }) => (range > highest ? range : highest), 0 as RangeId)
}

function highestNode({ descriptors, nodes }: PublishCommand): NodeId {
  const named = [...nodes, ...descriptors.flatMap(({ replicas }) => replicas)]
  return named.reduce((highest, { node }) => (node > highest ? node : highest), 0 as NodeId)
}

function raise(counter: Counter, next: number, from: { complete: boolean; draft: Draft; version: Version }): void {
  const { complete, draft, version } = from
  const key = counterKey(counter)
  const stored = draft.present(key)
  if (stored === null ? !complete : decodeId(stored.value) >= next) return
  draft.put(key, version, 'json', encodeMeta(next))
}
