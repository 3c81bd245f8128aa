import type { LinkQuality } from './network.js'

/** Which node a fault hits: a number, or the node that leads the most ranges when it strikes. */
export type Target = number | 'leader'

/**
 * 'wiped': an empty disk. 'state lost': no state database. 'entry rotten': a flipped bit in the payload of an entry in the log.
 * 'log rotten': one anywhere in the log. 'record rotten': one in a record of the state database.
 */
export type Harm = 'wiped' | 'state lost' | 'entry rotten' | 'log rotten' | 'record rotten'

/** One fault of a plan. Times are virtual milliseconds from the start of the run. */
export type Fault =
  /** The process ends like kill -9 and power loss in one: unsynced writes are lost. It starts again after `forMs`. */
  | { readonly kind: 'crash'; readonly atMs: number; readonly forMs: number; readonly targets: readonly Target[] }
  /**
   * The process stands still and then goes on, as after SIGSTOP and SIGCONT; `suspended`: as a virtual machine does, its monotonic
   * clock standing still with it.
   */
  | {
      readonly kind: 'pause'
      readonly atMs: number
      readonly forMs: number
      readonly targets: readonly Target[]
      readonly suspended: boolean
    }
  /**
   * 'isolate': the target from all other nodes and from clients. 'peers': only from the other nodes. 'deaf': the target
   * hears no other node; 'mute': no other node hears it. 'pair': the target and the node after it from each other.
   */
  | {
      readonly kind: 'partition'
      readonly atMs: number
      readonly forMs: number
      readonly shape: 'isolate' | 'peers' | 'deaf' | 'mute' | 'pair'
      readonly targets: readonly Target[]
    }
  /**
   * A crash, and harm to what the disk holds before the next start. It waits, until it would have ended, for all replicas to be
   * whole: no majority of a range's voters may forget before what forgot first was replaced.
   */
  | {
      readonly kind: 'harm'
      readonly atMs: number
      readonly forMs: number
      readonly harm: Harm
      readonly target: Target
    }
  /** 'full': the disk has no room for more. 'hang': it takes what it is given and answers nothing. */
  | { readonly kind: 'full' | 'hang'; readonly atMs: number; readonly forMs: number; readonly target: Target }
  /** The node is asked to hand on the lead of every range that it leads, and lives on. */
  | { readonly kind: 'transfer'; readonly atMs: number; readonly forMs: number; readonly target: Target }
  /** An orderly restart: the node hands on its leads, stops, and starts again after `forMs`. */
  | { readonly kind: 'drain'; readonly atMs: number; readonly forMs: number; readonly target: Target }
  /** The node's wall clock is set `byMs` forward, and back after `forMs`. */
  | {
      readonly kind: 'clock'
      readonly atMs: number
      readonly forMs: number
      readonly target: Target
      readonly byMs: number
    }
  /** All links behave like this for a while. */
  | { readonly kind: 'links'; readonly atMs: number; readonly forMs: number; readonly quality: LinkQuality }

/** Everything that goes wrong in a run, drawn before it. Plain data: it can be printed, kept and edited. */
export interface FaultPlan {
  readonly nodes: number
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
}

/** One line per fault. */
export function describePlan(plan: FaultPlan): string {
  const lines = plan.faults.map((fault) => `  ${describeFault(fault)}`)
  const rest = `clocks off by ${plan.clockOffsetsMs.join(', ')} ms, syncs up to ${plan.syncMsMax} ms`
  const kept = `log kept ${plan.keptBytesMax} bytes, state synced every ${plan.stateSyncEveryBytes}`
  return [...lines, `  ${plan.healedMs} healed`, `  ${rest}, ${kept}, links ${describeQuality(plan.quality)}`].join(
    '\n',
  )
}

export function describeFault(fault: Fault): string {
  const when = `${fault.atMs}..${fault.atMs + fault.forMs}`
  switch (fault.kind) {
    case 'crash':
      return `${when} ${fault.kind} ${fault.targets.join(' ')}`
    case 'pause':
      return `${when} ${fault.suspended ? 'suspend' : 'pause'} ${fault.targets.join(' ')}`
    case 'harm':
      return `${when} ${fault.harm} ${fault.target}`
    case 'full':
    case 'hang':
    case 'transfer':
    case 'drain':
      return `${when} ${fault.kind} ${fault.target}`
    case 'clock':
      return `${when} clock ${fault.target} by ${fault.byMs} ms`
    case 'partition':
      return `${when} partition ${fault.shape} ${fault.targets.join(' ')}`
    case 'links':
      return `${when} links ${describeQuality(fault.quality)}`
  }
}

function describeQuality(quality: LinkQuality): string {
  return Object.entries(quality)
    .map(([name, value]) => `${name} ${Math.round(value * 1000) / 1000}`)
    .join(', ')
}
