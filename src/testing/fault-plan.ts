import type { LinkQuality } from './network.js'
import type { Phase } from './phases.js'

/** Which node a fault hits: a number, or the node that leads the most ranges when it strikes. */
export type Target = number | 'leader'

/**
 * 'wiped': an empty disk. 'state lost': no state database. 'entry rotten': a flipped bit in the payload of an entry in the log.
 * 'log rotten': one anywhere in the log. 'record rotten': one in a record of the state database.
 */
export type Harm = 'wiped' | 'state lost' | 'entry rotten' | 'log rotten' | 'record rotten'

/** When a fault strikes. Times are virtual milliseconds from the start of the run. */
export interface When {
  readonly atMs: number
  /** How long it lasts from the moment at which it took effect. */
  readonly forMs: number
  /** From `atMs` on it waits until the cluster is in this phase and lets it take effect. Default: it strikes at `atMs`, or never. */
  readonly during?: Phase
  /** How long it waits for the phase. Default 3,000. */
  readonly waitMs?: number
}

/** What a fault does. */
export type Deed =
  /** The process ends like kill -9 and power loss in one: unsynced writes are lost. It starts again after `forMs`. */
  | { readonly kind: 'crash'; readonly targets: readonly Target[] }
  /**
   * The process stands still and then goes on, as after SIGSTOP and SIGCONT; `suspended`: as a virtual machine does, its monotonic
   * clock standing still with it.
   */
  | { readonly kind: 'pause'; readonly targets: readonly Target[]; readonly suspended: boolean }
  /**
   * 'isolate': the target from all other nodes and from clients. 'peers': only from the other nodes. 'deaf': the target
   * hears no other node; 'mute': no other node hears it. 'pair': the target and the node after it from each other.
   */
  | {
      readonly kind: 'partition'
      readonly shape: 'isolate' | 'peers' | 'deaf' | 'mute' | 'pair'
      readonly targets: readonly Target[]
    }
  /**
   * A crash, and harm to what the disk holds before the next start. It waits, until it would have ended, for all replicas to be
   * whole: no majority of a range's voters may forget before what forgot first was replaced.
   */
  | { readonly kind: 'harm'; readonly harm: Harm; readonly target: Target }
  /** 'full': the disk has no room for more. 'hang': it takes what it is given and answers nothing. */
  | { readonly kind: 'full' | 'hang'; readonly target: Target }
  /** The node is asked to hand on the lead of every range that it leads, and lives on. */
  | { readonly kind: 'transfer'; readonly target: Target }
  /** An orderly restart: the node hands on its leads, stops, and starts again after `forMs`. */
  | { readonly kind: 'drain'; readonly target: Target }
  /** The node's wall clock is set `byMs` forward, and back after `forMs`. */
  | { readonly kind: 'clock'; readonly target: Target; readonly byMs: number }
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
      return `partition ${fault.shape}`
    case 'harm':
      return fault.harm
    case 'full':
    case 'hang':
    case 'transfer':
    case 'drain':
    case 'clock':
    case 'links':
    case 'split':
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
    case 'pause':
    case 'partition':
      return fault.targets.join(' ')
    case 'harm':
    case 'full':
    case 'hang':
    case 'transfer':
    case 'drain':
      return String(fault.target)
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
