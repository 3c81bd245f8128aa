import type { Operation } from './linearizability.js'

/** The operations of one key. */
export type History = readonly Operation[]

/** Values by number; 0 is absent, 1 every value that nobody asked for or saw: which one of them it is decides nothing. */
type State = number

const ANY = -1
const PRESENT = -2
const KEEP = -3
const UNSEEN = 1

/**
 * An operation as a step of a register: from states that `from` matches (one state, ANY or PRESENT), except `not`,
 * to `to` (KEEP: it stays).
 */
interface Step {
  readonly from: State
  readonly not: State
  readonly to: State
  readonly mustReturn: boolean
  readonly slot: number
}

interface Event {
  readonly at: number
  readonly operation: number
  readonly returns: boolean
}

/** Which pending operations a configuration has applied, as sorted operation numbers. */
interface Configuration {
  readonly state: State
  readonly applied: readonly number[]
}

/** The verdict on the operations of one key. */
export function checkKey(history: History, stepsMax: number): 'legal' | 'illegal' | 'undecided' {
  return new JitSearch(history, stepsMax).run()
}

/**
 * Lowe's just-in-time search: follow the history event by event with the set of all configurations (state, pending
 * operations already applied) that explain it so far. Operations are applied only when one has to return, in every
 * order that ends with it. Equal configurations are met once; one that differs from another only by having used up
 * more operations of unknown outcome explains nothing more, and goes.
 */
export class JitSearch {
  readonly #steps: Step[] = []
  readonly #events: Event[] = []
  readonly #neededUntil: number[] = []
  readonly #pending = new Set<number>()
  readonly #expiring: number[] = []
  /** Operations of unknown outcome that do the same: while several are pending it decides nothing which of them is applied. */
  readonly #alike = new Map<string, number[]>()
  #configurations: Configuration[] = [{ state: 0, applied: [] }]
  #stepsLeft: number

  constructor(history: History, stepsMax: number) {
    this.#stepsLeft = stepsMax
    const values = new Values(history)
    for (const operation of history) {
      const step = stepOf(operation, values, this.#steps.length)
      if (step === null) continue
      this.#steps.push(step)
      if (!step.mustReturn) this.#alike.set(effectOf(step), [...this.#likesOf(step), step.slot])
      this.#events.push({ at: operation.invoke, operation: step.slot, returns: false })
      if (step.mustReturn) this.#events.push({ at: operation.complete, operation: step.slot, returns: true })
    }
    this.#events.sort((a, b) => a.at - b.at || Number(a.returns) - Number(b.returns))
    this.#findNeeds()
  }

  run(): 'legal' | 'illegal' | 'undecided' {
    for (const [place, event] of this.#events.entries()) {
      if (!event.returns) {
        this.#pending.add(event.operation)
        continue
      }
      this.#forgetUseless(place)
      const next = this.#afterReturn(event.operation)
      if (next === null) return 'undecided'
      if (next.length === 0) return 'illegal'
      this.#pending.delete(event.operation)
      this.#configurations = next
      this.#settleCommon()
    }
    return 'legal'
  }

  /** Up to which event an operation of unknown outcome can still explain something. */
  #findNeeds(): void {
    const lastSeen = new Map<State, number>()
    let lastUnspecific = -1
    for (const [place, event] of this.#events.entries()) {
      if (!event.returns) continue
      const { from, not } = this.#steps[event.operation]!
      if (from >= 0) lastSeen.set(from, place)
      else if (from === PRESENT || not !== ANY) lastUnspecific = place
    }
    // A conditional write of unknown outcome may be what makes its result visible: it needs its condition met until then.
    for (let changed = true; changed; ) {
      changed = false
      for (const step of this.#steps) {
        if (step.mustReturn || step.from < 0) continue
        const until = lastSeen.get(step.to) ?? -1
        if (until <= (lastSeen.get(step.from) ?? -1)) continue
        lastSeen.set(step.from, until)
        changed = true
      }
    }
    for (const step of this.#steps) {
      this.#neededUntil.push(step.mustReturn ? -1 : Math.max(lastSeen.get(step.to) ?? -1, lastUnspecific))
      if (!step.mustReturn) this.#expiring.push(step.slot)
    }
    this.#expiring.sort((a, b) => this.#neededUntil[b]! - this.#neededUntil[a]!)
  }

  #forgetUseless(place: number): void {
    let forgotten = false
    for (;;) {
      const slot = this.#expiring.at(-1)
      if (slot === undefined || this.#neededUntil[slot]! >= place) break
      this.#expiring.pop()
      this.#neededUntil[slot] = -2
      forgotten = this.#pending.delete(slot) || forgotten
    }
    for (const slot of this.#pending) if (this.#neededUntil[slot] === -2) this.#pending.delete(slot)
    if (forgotten) this.#dropFromApplied((slot) => !this.#pending.has(slot))
  }

  /** All configurations in which `target` has been applied; null: too much work. */
  #afterReturn(target: number): Configuration[] | null {
    const results = new Frontier(this.#steps)
    const seen = new Frontier(this.#steps)
    const open: Configuration[] = []
    const meet = (state: State, applied: readonly number[]) => {
      const configuration = this.#withReads(state, applied)
      if (configuration.applied.includes(target)) results.add(without(configuration, target))
      else if (seen.add(configuration)) open.push(configuration)
    }
    for (const { state, applied } of this.#configurations) meet(state, applied)
    for (let at = 0; at < open.length; at++) {
      const { state, applied } = open[at]!
      for (const slot of this.#pending) {
        if (--this.#stepsLeft < 0) return null
        const step = this.#steps[slot]!
        if (step.to === KEEP || applied.includes(slot) || this.#isSuperfluous(step, applied)) continue
        const next = apply(step, state)
        if (next !== null) meet(next, withSlot(applied, slot))
      }
    }
    return results.list()
  }

  /** Another one that does the same is pending, and goes first. */
  #isSuperfluous(step: Step, applied: readonly number[]): boolean {
    if (step.mustReturn) return false
    for (const other of this.#likesOf(step)) {
      if (other >= step.slot) return false
      if (this.#pending.has(other) && !applied.includes(other)) return true
    }
    return false
  }

  #likesOf(step: Step): readonly number[] {
    return this.#alike.get(effectOf(step)) ?? []
  }

  /** A pending operation that changes nothing is best applied as soon as it can be: having done so excludes nothing. */
  #withReads(state: State, applied: readonly number[]): Configuration {
    let all = applied
    for (const slot of this.#pending) {
      const step = this.#steps[slot]!
      if (step.to === KEEP && !all.includes(slot) && apply(step, state) !== null) all = withSlot(all, slot)
    }
    return { state, applied: all }
  }

  /** What every configuration has applied needs no remembering. */
  #settleCommon(): void {
    const [first, ...others] = this.#configurations
    if (first === undefined || first.applied.length === 0) return
    const common = first.applied.filter(
      (slot) => !this.#steps[slot]!.mustReturn && others.every((other) => other.applied.includes(slot)),
    )
    if (common.length === 0) return
    for (const slot of common) this.#pending.delete(slot)
    this.#dropFromApplied((slot) => common.includes(slot))
  }

  #dropFromApplied(drop: (slot: number) => boolean): void {
    const merged = new Frontier(this.#steps)
    for (const { state, applied } of this.#configurations) {
      merged.add({ state, applied: applied.some(drop) ? applied.filter((slot) => !drop(slot)) : applied })
    }
    this.#configurations = merged.list()
  }
}

/** Configurations without repeats, and without those that another one makes superfluous. */
class Frontier {
  readonly #steps: readonly Step[]
  /** By state and applied operations that must return: what else has been used up, none a superset of another. */
  readonly #groups = new Map<
    string,
    { readonly state: State; readonly certain: readonly number[]; used: (readonly number[])[] }
  >()

  constructor(steps: readonly Step[]) {
    this.#steps = steps
  }

  /** Returns whether it explains anything that those before it do not. */
  add({ state, applied }: Configuration): boolean {
    const certain = applied.filter((slot) => this.#steps[slot]!.mustReturn)
    const unknown = certain.length === applied.length ? [] : applied.filter((slot) => !this.#steps[slot]!.mustReturn)
    const name = `${state}:${certain.join()}`
    const group = this.#groups.get(name)
    if (group === undefined) {
      this.#groups.set(name, { state, certain, used: [unknown] })
      return true
    }
    if (group.used.some((other) => isSubset(other, unknown))) return false
    group.used = group.used.filter((other) => !isSubset(unknown, other))
    group.used.push(unknown)
    return true
  }

  list(): Configuration[] {
    const list: Configuration[] = []
    for (const { state, certain, used } of this.#groups.values()) {
      for (const unknown of used) {
        list.push({ state, applied: unknown.length === 0 ? certain : [...certain, ...unknown].sort((a, b) => a - b) })
      }
    }
    return list
  }
}

class Values {
  readonly #numbers = new Map<string, State>()

  constructor(history: History) {
    for (const operation of history) {
      if (operation.status === 'fail') continue
      if (operation.op === 'get' && operation.status === 'ok') this.#see(operation.result)
      if (operation.op !== 'cas') continue
      this.#see(operation.expect)
      this.#see(operation.found ?? null)
    }
  }

  #see(value: string | null): void {
    if (value !== null && !this.#numbers.has(value)) this.#numbers.set(value, UNSEEN + 1 + this.#numbers.size)
  }

  number(value: string | null): State {
    return value === null ? 0 : (this.#numbers.get(value) ?? UNSEEN)
  }
}

/** null: it says nothing and changes nothing. */
function stepOf(operation: Operation, values: Values, slot: number): Step | null {
  if (operation.status === 'fail') return null
  const mustReturn = operation.status === 'ok'
  switch (operation.op) {
    case 'put':
      return { from: ANY, not: ANY, to: values.number(operation.value), mustReturn, slot }
    case 'get':
      return mustReturn ? { from: values.number(operation.result), not: ANY, to: KEEP, mustReturn, slot } : null
    case 'delete': {
      const told = mustReturn ? operation.result : undefined
      return { from: told === undefined ? ANY : told ? PRESENT : 0, not: ANY, to: 0, mustReturn, slot }
    }
    case 'cas': {
      const expect = values.number(operation.expect)
      if (!mustReturn || operation.result) {
        return { from: expect, not: ANY, to: values.number(operation.value), mustReturn, slot }
      }
      const from = operation.found === undefined ? ANY : values.number(operation.found)
      return { from, not: expect, to: KEEP, mustReturn, slot }
    }
  }
}

function effectOf({ from, not, to }: Step): string {
  return `${from} ${not} ${to}`
}

/** The state after `step`; null: it can't be taken there. */
function apply(step: Step, state: State): State | null {
  if (step.from >= 0 && step.from !== state) return null
  if (step.from === PRESENT && state === 0) return null
  if (step.not === state) return null
  return step.to === KEEP ? state : step.to
}

function without({ state, applied }: Configuration, slot: number): Configuration {
  return { state, applied: applied.filter((other) => other !== slot) }
}

function withSlot(applied: readonly number[], slot: number): readonly number[] {
  const next = [...applied, slot]
  for (let at = next.length - 1; at > 0 && next[at - 1]! > slot; at--) {
    next[at] = next[at - 1]!
    next[at - 1] = slot
  }
  return next
}

function isSubset(small: readonly number[], large: readonly number[]): boolean {
  if (small.length > large.length) return false
  return small.every((slot) => large.includes(slot))
}
