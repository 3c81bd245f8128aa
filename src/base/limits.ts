import { assert } from './assert.js'

const KiB = 1024
const MiB = 1024 * KiB

/** Every bound and default time of the system. `...Max` is a bound of the design, relations between them are asserted below. */
export const limits = {
  keyBytesMax: 4 * KiB,
  valueBytesMax: 1 * MiB,
  batchOperationsMax: 1_000,
  batchBytesMax: 4 * MiB,
  /** Largest gRPC message taken in. */
  messageBytesMax: 5 * MiB,
  /** Frames between nodes and to clients are cut near this size (one larger item still travels alone). */
  frameBytesMax: 1 * MiB,
  /** Payload of one Raft entry. */
  entryBytesMax: 4 * MiB + 64 * KiB,
  /** Commands of one range are gathered into one entry up to this size (a larger single command travels alone). */
  entryBytesTarget: 512 * KiB,
  entryCommandsMax: 2_000,
  clientRequestsInFlightMax: 4_096,
  clientBytesInFlightMax: 64 * MiB,
  /** Of all clients of a node together; above it new requests are refused as OVERLOADED. */
  nodeRequestsInFlightMax: 65_536,
  nodeBytesInFlightMax: 128 * MiB,
  /** Answers that wait for all clients together; above it the client that holds most of them is cut off. */
  nodeReplyBytesMax: 128 * MiB,
  /** Proposals waiting or in flight in one range. */
  rangeProposalBytesMax: 16 * MiB,
  /** Reads waiting in one range to be confirmed or applied: their keys, and 64 bytes for each. */
  rangeReadBytesMax: 16 * MiB,
  scanRowsMax: 1_000,
  scanBytesMax: 1 * MiB,
  /** Written but not yet in LevelDB; above it proposals are refused as OVERLOADED. */
  overlayBytesMax: 64 * MiB,
  latestCacheBytes: 64 * MiB,
  latestCacheValueBytesMax: 2 * KiB,
  logSegmentBytes: 32 * MiB,
  /** A state sync starts when this much was logged since the last one. */
  stateSyncEveryBytes: 32 * MiB,

  appendMessagesInFlightMax: 64,
  appendBytesInFlightMax: 8 * MiB,
  /** Entries of one range kept in memory behind what is applied, for followers. */
  raftTailBytesMax: 4 * MiB,
  /** Log kept on a node for slow or dead replicas, over all ranges; beyond it they are sent snapshots. */
  logKeptForSlowBytes: 64 * MiB,
  /** Records in one chunk of a snapshot (one larger record still travels alone). */
  snapshotChunkBytes: 512 * KiB,
  snapshotsInMax: 2,
  snapshotsOutMax: 4,
  /** Of all snapshots that leave a node together. */
  snapshotBytesPerSecond: 64 * MiB,
  /** A snapshot that neither end has moved for this long is given up by both. */
  snapshotIdleMs: 10_000,
  /** A running snapshot holds collection back for at most this long. */
  snapshotMsMax: 600_000,

  tickMs: 20,
  heartbeatTicks: 5,
  electionTicksMin: 25,
  electionTicksMax: 50,

  defaultDeadlineMs: 5_000,
  deadlineMsMax: 600_000,
  sessionKeptMs: 600_000,
  /** Outcomes that one range remembers; above it the oldest are let go of, by command, before their time. A session has one at least. */
  sessionOutcomesMax: 250_000,
  /** Versions of a value that were replaced longer ago than this may be deleted. */
  historyKeptMs: 600_000,
  /** The replicas of a range that was written to compare what they wrote this often. */
  digestEveryMs: 600_000,
  versionAheadMsMax: 2_000,
  clockDifferenceWarnMs: 250,
} as const

assert(limits.batchBytesMax < limits.entryBytesMax, 'a full batch must fit into an entry')
assert(limits.entryBytesMax < limits.messageBytesMax, 'an entry must fit into a message')
assert(limits.clientBytesInFlightMax < limits.nodeBytesInFlightMax, 'one client must not use up what all may')
assert(limits.keyBytesMax + limits.valueBytesMax < limits.batchBytesMax, 'one write must fit into a batch')
assert(limits.heartbeatTicks * 3 <= limits.electionTicksMin, 'an election timeout must outlast lost heartbeats')
assert(limits.logSegmentBytes > 2 * limits.entryBytesMax, 'a segment must hold any batch')
