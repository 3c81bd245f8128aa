import { largestOfKind, type NodeFile, PLACES, type Place } from '../faults/bit-rot.js'

/** There from the moment that a start finds damage until what it concerns is given up, so only a killed node leaves it. */
export const DAMAGE_RECORD = 'state damage found'

export type Stop = 'SIGTERM' | 'SIGKILL'

/** One file of one node, damaged while the node is down. */
export interface RotCase {
  readonly kind: string
  readonly place: Place
  readonly stop: Stop
}

/** Every kind of file at every place, after either end of the process that leaves it. */
export function casesOf(leftBy: Readonly<Record<Stop, readonly NodeFile[]>>): RotCase[] {
  const stops = new Map<string, Stop[]>([[DAMAGE_RECORD, ['SIGKILL']]])
  for (const stop of ['SIGTERM', 'SIGKILL'] as const) {
    for (const { kind } of largestOfKind(leftBy[stop])) {
      if (kind === DAMAGE_RECORD) continue
      stops.set(kind, [...(stops.get(kind) ?? []), stop])
    }
  }
  return [...stops].flatMap(([kind, ends]) =>
    PLACES.flatMap((place) => ends.map((stop): RotCase => ({ kind, place, stop }))),
  )
}

/** 'a value': a bit inside a value of a range that no other node's damage of the round concerns. */
export interface RoundDamage {
  readonly kind: string
  readonly place: Place | 'a value'
}

/**
 * Three damages at once, each to another node; whose turn it is goes round. Of every range, two replicas keep what they acknowledged
 * and what they applied: in a round with a file by which a node loses all of it, the others lose none.
 */
export const ROUNDS: readonly (readonly [RoundDamage, RoundDamage, RoundDamage])[] = [
  [
    { kind: 'state table', place: 'a value' },
    { kind: 'state log', place: 'a value' },
    { kind: 'log segment', place: 'a value' },
  ],
  [
    { kind: 'node.json', place: 'middle' },
    { kind: 'peers.json', place: 'middle' },
    { kind: 'how it ended', place: 'head' },
  ],
  [
    { kind: 'state MANIFEST', place: 'middle' },
    { kind: 'what LevelDB says', place: 'middle' },
    { kind: 'peers.json', place: 'cut in half' },
  ],
  [
    { kind: 'log segment', place: 'cut in half' },
    { kind: 'peers.json', place: 'tail' },
    { kind: 'what LevelDB says', place: 'cut in half' },
  ],
  [
    { kind: 'FORMAT', place: 'cut in half' },
    { kind: 'LOCK', place: 'head' },
    { kind: 'peers.json', place: 'head' },
  ],
  [
    { kind: 'state CURRENT', place: 'tail' },
    { kind: 'how it ended', place: 'cut in half' },
    { kind: 'LOCK', place: 'cut in half' },
  ],
]
