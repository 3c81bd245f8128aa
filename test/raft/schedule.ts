import fc from 'fast-check'

const weights = {
  tick: 10,
  collect: 9,
  persist: 8,
  deliver: 18,
  calm: 8,
  propose: 4,
  read: 3,
  lose: 2,
  duplicate: 2,
  crash: 0.8,
  start: 2,
  checkpoint: 4,
  unreachable: 1,
  stream: 3,
  transfer: 1,
  stepDown: 0.2,
  stateLost: 0.2,
  apart: 0.6,
} as const
/** More rounds in which nothing goes wrong: a change takes many. */
const membershipWeights = { ...weights, calm: 24, crash: 0.6, change: 5, wipe: 0.4 } as const

export type ActionKind = keyof typeof membershipWeights

export interface Action {
  readonly kind: ActionKind
  readonly choice: number
}

function actionsOf(weights: Partial<Record<ActionKind, number>>): fc.Arbitrary<Action[]> {
  const kinds = Object.entries(weights) as [ActionKind, number][]
  const table = kinds.flatMap(([kind, weight]) => Array.from({ length: weight * 5 }, () => kind))
  /** One number per action, so that schedules are cheap to make and shrink well. */
  const action = fc
    .nat(table.length * 1009 - 1)
    .map((n): Action => ({ kind: table[n % table.length]!, choice: Math.floor(n / table.length) }))
  return fc.array(action, { minLength: 60, maxLength: 500, size: 'max' })
}

/** Faults, crashes, snapshots and transfers among the same replicas. */
export const actions = actionsOf(weights)
/** Changes of the replicas besides. */
export const membershipActions = actionsOf(membershipWeights)
export const actionKinds = Object.keys(membershipWeights) as ActionKind[]
