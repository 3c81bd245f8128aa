import fc from 'fast-check'

const weights = {
  tick: 10,
  collect: 9,
  persist: 8,
  deliver: 18,
  calm: 4,
  propose: 4,
  read: 3,
  lose: 2,
  duplicate: 2,
  crash: 1,
  start: 2,
  checkpoint: 1,
  unreachable: 1,
} as const

export type ActionKind = keyof typeof weights

export interface Action {
  readonly kind: ActionKind
  readonly choice: number
}

export const actionKinds = Object.keys(weights) as ActionKind[]

const table = actionKinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind))

/** One number per action, so that schedules are cheap to make and shrink well. */
const action = fc
  .nat(table.length * 1009 - 1)
  .map((n): Action => ({ kind: table[n % table.length]!, choice: Math.floor(n / table.length) }))

export const actions = fc.array(action, { minLength: 60, maxLength: 500, size: 'max' })
