import { limits } from '../base/limits.js'
import type { RarePath } from '../base/ports.js'
import { RARE_PATHS } from '../base/ports.js'
import type { RaftBounds } from '../store/factory.js'
import type { SeededRandom } from './random.js'

const KiB = 1024

/** What a run has otherwise than another beside its faults. Plain data. */
export interface Tuning {
  /** Of the log; small, so that a run fills and frees many. In bytes. */
  readonly segmentBytes: number
  /** Of a snapshot; small, so that it takes many steps to fail between. In bytes. */
  readonly snapshotChunkBytes: number
  /** Of latest versions; small, so that reads that miss are common. In bytes. */
  readonly cacheBytes: number
  /** Of a range; few, so that it forgets often what sessions did. Default: as in production. */
  readonly sessionOutcomesMax?: number
  readonly raft: Partial<RaftBounds>
  /** With which chance each time a rare path is taken without need. Those that are not named are not. */
  readonly rare: Readonly<Partial<Record<RarePath, number>>>
}

export const usualTuning: Tuning = {
  segmentBytes: 256 * KiB,
  snapshotChunkBytes: 4 * KiB,
  cacheBytes: 1 * KiB,
  raft: {},
  rare: {},
}

/** The more often a path is come by, the less often it may be taken without need. */
const CHANCE_MAX: Readonly<Record<RarePath, number>> = {
  'short entry': 0.5,
  'proposals full': 0.05,
  'reads full': 0.05,
  'late round': 0.2,
  'short page': 0.5,
  'early sync': 0.01,
  'log let go': 0.5,
  'spare lost': 0.5,
  'lead handed on': 0.0005,
  'late checkpoint': 0.7,
}

/** Half of all runs are as usual; in the others each bound and each path is drawn. */
export function drawTuning(random: SeededRandom): Tuning {
  if (random.chance(0.5)) return usualTuning
  const electionTicksMin = random.pick([25, 25, 35])
  const paths = RARE_PATHS.filter(() => random.chance(0.3))
  return {
    segmentBytes: random.pick([64, 256, 1024]) * KiB,
    snapshotChunkBytes: random.pick([1, 4, 32]) * KiB,
    cacheBytes: random.pick([0, 1, 64]) * KiB,
    sessionOutcomesMax: random.fork('outcomes').pick([2, 4, limits.sessionOutcomesMax]),
    raft: {
      electionTicksMin,
      electionTicksMax: electionTicksMin * random.pick([2, 2, 3]),
      appendMessagesInFlightMax: random.pick([1, 4, 64]),
      appendBytesInFlightMax: random.pick([1, 64, 8 * KiB]) * KiB,
      appendBytesMax: random.pick([1, 16, KiB]) * KiB,
    },
    rare: Object.fromEntries(paths.map((path) => [path, random.between(0, CHANCE_MAX[path])])),
  }
}
