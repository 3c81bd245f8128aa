/** A file of tests, and which of them: what was written for one case by itself proves nothing about the next bug. */
export interface Suite {
  /** Of the compiled file, without `.test.js`. */
  readonly file: string
  /** Names of the tests; absent: all. */
  readonly tests?: readonly string[]
}

/** Whole clusters on virtual time, driven to a certain place. */
export const scenarios: readonly Suite[] = [
  { file: 'test/sim/cluster' },
  { file: 'test/sim/collection' },
  { file: 'test/sim/damage' },
  { file: 'test/sim/divergence' },
  { file: 'test/sim/drain' },
  { file: 'test/sim/faults' },
  { file: 'test/sim/old-copy' },
  { file: 'test/sim/replacement' },
  { file: 'test/sim/unknown-outcome' },
  { file: 'test/sim/weak-reads' },
  { file: 'test/sim/young-child' },
]

/** Random runs against a model that is obviously right. */
export const properties: readonly Suite[] = [
  { file: 'test/raft/schedule' },
  { file: 'test/raft/quorum' },
  { file: 'test/kv/machine.model' },
  { file: 'test/storage/log-model' },
  { file: 'test/storage/state-cache' },
  { file: 'test/storage/state-churn' },
]

/** Every place of something, one after the other. */
export const exhaustive: readonly Suite[] = [
  {
    file: 'test/storage/log-damage',
    tests: [
      'tells of every flipped byte what it cost, which is never more than the record it stands in',
      'tells of every flipped byte of the last batch, when it is the only segment, instead of taking it for torn',
      'cuts the last batch whole, whichever one of its sectors was never written',
      'never cuts a batch that has a successor, in the same segment or in the next one, whatever sector it lost',
    ],
  },
  {
    file: 'test/storage/leveldb-files',
    tests: [
      'a flipped bit in any of them hides nothing: the state is lost, or what is damaged is named, and the rest is whole',
      "a hole below the last sync is noticed, whether its bytes are zero, flipped, or another batch's",
      'a sync covers every log file: nothing done before it is gone, also where a memtable was just switched',
    ],
  },
  {
    file: 'test/storage/state-collect',
    tests: ['a power cut at any point of it brings nothing back that a read above the floor could see'],
  },
]

/** Programs over real processes, sockets and disks, with their arguments. They take minutes each. */
export const blackBox: readonly (readonly string[])[] = [
  ['jepsen-like-tests/commands/powercut.js'],
  ['jepsen-like-tests/commands/jepsen.js', '--ci'],
]
