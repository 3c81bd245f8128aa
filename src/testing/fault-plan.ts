import type { LinkQuality } from './network.js'
import type { Phase } from './phases.js'
import type { Tuning } from './tuning.js'

/** Which node a fault hits: a number, or the node that leads the most ranges when it strikes. */
export type Target = number | 'leader'

/**
 * 'wiped': an empty disk. 'state lost': no state database. 'entry rotten': a flipped bit in the payload of an entry in the log, or a
 * block of it that cannot be read.
 * 'log rotten': one anywhere in the log. 'record rotten': one in a record of the state database. 'record hidden': one in an index of
 * it, so that a record is not found, which the next opening notices. 'snapshot rotten': one in what a running node has taken in of a
 * snapshot. 'rolled back': the disk as it was before its last start, or at
 * some moment since.
 */
export type Harm =
  | 'wiped'
  | 'state lost'
  | 'entry rotten'
  | 'log rotten'
  | 'record rotten'
  | 'record hidden'
  | 'snapshot rotten'
  | 'rolled back'

/**
 * 'isolate': the target from all other nodes and from clients. 'peers': only from the other nodes; 'clients': only from those. 'deaf':
 * the target hears no other node; 'mute': no other node hears it. 'pair': the target and the node after it from each other. 'halves':
 * the targets from all other nodes. 'bridge': the others in two halves from each other, the target hears all. 'ring': each node hears
 * the two beside it.
 */
export type PartitionShape = 'isolate' | 'peers' | 'clients' | 'deaf' | 'mute' | 'pair' | 'halves' | 'bridge' | 'ring'

/** When a fault strikes. Times are virtual milliseconds from the start of the run. */
export interface When {
  readonly atMs: number
  /** How long it lasts from the moment at which it took effect. */
  readonly forMs: number
  /** From `atMs` on it waits until the cluster is in this phase and lets it take effect. Default: it strikes at `atMs`, or never. */
  readonly during?: Phase
  /** How long it waits for the phase, or for its turn. Default 3,000; without a phase harm and torn writes wait as long as they last, and nothing else waits. */
  readonly waitMs?: number
}

/** What a fault does. */
export type Deed =
  /** The process ends like kill -9 and power loss in one: unsynced writes are lost. It starts again after `forMs`. */
  | { readonly kind: 'crash'; readonly targets: readonly Target[] }
  /** The process ends like kill -9 alone: the system writes what it was given. */
  | { readonly kind: 'kill'; readonly targets: readonly Target[] }
  /** A crash in which nobody is left to close the node's connections: the others find out by its silence. */
  | { readonly kind: 'off'; readonly target: Target }
  /** A crash in place of the answer to the `operations`th disk operation from now. */
  | { readonly kind: 'crash after'; readonly target: Target; readonly operations: number }
  /** A crash while the log is written: of what is under way the first part is kept. It waits, until it would have ended, for a write. */
  | { readonly kind: 'torn tail'; readonly target: Target }
  /**
   * The process stands still and then goes on, as after SIGSTOP and SIGCONT; `suspended`: as a virtual machine does, its monotonic
   * clock standing still with it.
   */
  | { readonly kind: 'pause'; readonly targets: readonly Target[]; readonly suspended: boolean }
  /** `flapMs`: it comes and goes this often. Default: it stays. */
  | {
      readonly kind: 'partition'
      readonly shape: PartitionShape
      readonly targets: readonly Target[]
      readonly flapMs?: number
    }
  /**
   * A crash, and harm to what the disk holds before the next start. It waits, until it would have ended, for all replicas to be
   * whole: no majority of a range's voters may forget before what forgot first was replaced.
   */
  | { readonly kind: 'harm'; readonly harm: Harm; readonly target: Target }
  /** 'full': the disk has no room for more. 'hang': it takes what it is given and answers nothing. */
  | { readonly kind: 'full' | 'hang'; readonly target: Target }
  /** Syncs fail: the process must end itself, and what was not synced is gone as soon as the power is. */
  | { readonly kind: 'fsync'; readonly target: Target }
  /** The node and the one after it have each other's log for a while, and must refuse to start. */
  | { readonly kind: 'logs swapped'; readonly target: Target }
  /** Every turn begins `factor` times later. */
  | { readonly kind: 'slow'; readonly target: Target; readonly factor: number }
  /** The node is asked to hand on the lead of every range that it leads, and lives on. */
  | { readonly kind: 'transfer'; readonly target: Target }
  /** An orderly restart: the node hands on its leads, stops, and starts again after `forMs`. */
  | { readonly kind: 'drain'; readonly target: Target }
  /** The node's wall clock is set `byMs` forward, and back after `forMs`. */
  | { readonly kind: 'clock'; readonly target: Target; readonly byMs: number }
  /** Both clocks of the node run faster by this part, or slower (below 0); afterwards the wall clock is right again. */
  | { readonly kind: 'drift'; readonly target: Target; readonly rate: number }
  /** The link from the target to the node after it ('out'), or back ('in'), behaves like this for a while. */
  | { readonly kind: 'link'; readonly target: Target; readonly way: 'in' | 'out'; readonly quality: LinkQuality }
  /** All that the target sends ('out'), or is sent ('in'), is held, and comes when it is over. */
  | { readonly kind: 'clog'; readonly target: Target; readonly way: 'in' | 'out' }
  /** 'reset': all connections to and from the target break. 'half open': the target forgets those to it, and nobody is told. */
  | { readonly kind: 'connections'; readonly target: Target; readonly how: 'reset' | 'half open' }
  /** The target takes one frame every `everyMs` milliseconds. */
  | { readonly kind: 'slow reader'; readonly target: Target | 'clients'; readonly everyMs: number }
  /** All links behave like this for a while. */
  | { readonly kind: 'links'; readonly quality: LinkQuality }
  /** Some client asks for a split at this key of the workload. It takes effect if it succeeds. */
  | { readonly kind: 'split'; readonly key: string }

/** One fault of a plan. */
export type Fault = When & Deed

/** All that is drawn for a run, before it. Plain data: it can be printed, kept, edited, and replayed by itself. */
export interface FaultPlan {
  readonly nodes: number
  /** Data ranges at the beginning. */
  readonly ranges: number
  readonly clients: number
  /** Longest pause of a client between two calls, in milliseconds. */
  readonly thinkMsMax: number
  readonly faults: readonly Fault[]
  /** From here on nothing goes wrong any more: all links are open, all nodes run. */
  readonly healedMs: number
  /** Each node's wall clock is off by this much, in milliseconds. */
  readonly clockOffsetsMs: readonly number[]
  /** A sync of the log takes up to this long, in milliseconds. */
  readonly syncMsMax: number
  /** Links between the faults. */
  readonly quality: LinkQuality
  /** Log that a node keeps for slow or dead replicas: little makes snapshots common. In bytes. */
  readonly keptBytesMax: number
  /** A node syncs its state when it has logged this much. In bytes. */
  readonly stateSyncEveryBytes: number
  /** Default: usualTuning. */
  readonly tuning?: Tuning
  /** Replaced versions are kept this long, in milliseconds of log time: little makes collection common. */
  readonly historyKeptMs: number
  /** Outcomes of requests are remembered this long, in milliseconds of log time. */
  readonly sessionKeptMs: number
}

/** What a fault is counted as. */
export function nameOf(fault: Deed): string {
  switch (fault.kind) {
    case 'crash':
      return fault.targets.length > 1 ? 'crash of many' : 'crash'
    case 'pause':
      return fault.suspended ? 'suspend' : 'pause'
    case 'partition':
      if (fault.flapMs !== undefined) return 'partition flapping'
      return `partition ${fault.shape === 'bridge' || fault.shape === 'ring' ? 'partial' : fault.shape}`
    case 'harm':
      return fault.harm
    case 'connections':
      return `connections ${fault.how}`
    default:
      return fault.kind
  }
}

/** One line per fault, and two of what the cluster is. */
export function describePlan(plan: FaultPlan): string {
  const { nodes, ranges, clients, thinkMsMax, faults, clockOffsetsMs, syncMsMax } = plan
  const size = `${nodes} nodes, ${ranges} data ranges, ${clients} clients that pause up to ${Math.round(thinkMsMax)} ms`
  const rest = `clocks off by ${clockOffsetsMs.join(', ')} ms, syncs up to ${syncMsMax} ms`
  const log = `log kept ${plan.keptBytesMax} bytes, state synced every ${plan.stateSyncEveryBytes}`
  const kept = `${log}, history kept ${plan.historyKeptMs} ms, sessions ${plan.sessionKeptMs} ms`
  return [
    ...faults.map((fault) => `  ${describeFault(fault)}`),
    `  ${plan.healedMs} healed; ${size}`,
    `  ${rest}, ${kept}, links ${describeQuality(plan.quality)}`,
  ].join('\n')
}

export function describeFault(fault: Fault): string {
  const { atMs, forMs, during } = fault
  const when = during === undefined ? `${atMs}..${atMs + forMs}` : `${atMs} during ${during} for ${forMs}`
  return [when, nameOf(fault), detailsOf(fault)].filter((part) => part !== '').join(' ')
}

function detailsOf(fault: Deed): string {
  switch (fault.kind) {
    case 'crash':
    case 'kill':
    case 'pause':
      return fault.targets.join(' ')
    case 'partition':
      return `${fault.targets.join(' ')}${fault.flapMs === undefined ? '' : `, ${fault.shape} every ${fault.flapMs} ms`}`
    case 'harm':
    case 'full':
    case 'hang':
    case 'fsync':
    case 'off':
    case 'torn tail':
    case 'logs swapped':
    case 'connections':
    case 'transfer':
    case 'drain':
      return String(fault.target)
    case 'crash after':
      return `${fault.target} ${fault.operations} disk operations`
    case 'slow':
      return `${fault.target} by ${fault.factor}`
    case 'drift':
      return `${fault.target} by ${fault.rate}`
    case 'link':
      return `${fault.way} of ${fault.target} ${describeQuality(fault.quality)}`
    case 'clog':
      return `${fault.way} of ${fault.target}`
    case 'slow reader':
      return `${fault.target} every ${fault.everyMs} ms`
    case 'clock':
      return `${fault.target} by ${fault.byMs} ms`
    case 'links':
      return describeQuality(fault.quality)
    case 'split':
      return `at ${fault.key}`
  }
}

function describeQuality(quality: LinkQuality): string {
  return Object.entries(quality)
    .map(([name, value]) => `${name} ${Math.round(value * 1000) / 1000}`)
    .join(', ')
}
