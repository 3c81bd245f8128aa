import { Coverage } from '../../../src/testing/coverage.js'
import { FAULT_NAMES } from '../../../src/testing/deeds.js'
import { PHASES } from '../../../src/testing/phases.js'
import type { Outcome } from './jobs.js'

/** A run in which less happened proves too little to be counted. */
export const countsWith = { acknowledged: 1_000, faults: 10, leaderChanges: 2, restarts: 1, ranges: 2 } as const

const measures = [
  'acknowledged',
  'faults',
  'leaderChanges',
  'restarts',
  'ranges',
] as const satisfies readonly (keyof typeof countsWith)[]
const namesOf = { leaderChanges: 'leader changes' } as Readonly<Partial<Record<(typeof measures)[number], string>>>

/** What a run lacks to be counted; null: it counts. */
export function lackOf(outcome: Outcome): string | null {
  const lacking = measures.filter((measure) => outcome[measure] < countsWith[measure])
  if (lacking.length === 0) return null
  return lacking.map((measure) => `${outcome[measure]} ${nameOf(measure)} of ${countsWith[measure]}`).join(', ')
}

/** One line per run. */
export function lineOf(outcome: Outcome): string {
  const { seed, hash, unknown, entries, violation, tookMs } = outcome
  const verdict = violation === null ? 'ok    ' : 'FAILED'
  const counts = measures.map((measure) => `${outcome[measure]} ${nameOf(measure)}`).join(', ')
  return `${verdict} seed ${seed} ${hash} ${counts}, ${unknown} unknown, ${entries} entries, ${Math.round(tookMs)} ms`
}

/** All runs together, with the lowest of what a run needs to be counted. */
export function summaryOf(outcomes: readonly Outcome[], wallMs: number): string {
  if (outcomes.length === 0) return 'no seeds were run'
  const failed = outcomes.filter(({ violation }) => violation !== null).length
  const lowest = measures.map((measure) => `${Math.min(...outcomes.map((each) => each[measure]))} ${nameOf(measure)}`)
  const virtualMs = outcomes.reduce((sum, each) => sum + each.virtualMs, 0)
  const workMs = outcomes.reduce((sum, each) => sum + each.tookMs, 0)
  const speed = `${(virtualMs / wallMs).toFixed(0)} times real time, ${(virtualMs / workMs).toFixed(0)} per process`
  return [
    `${outcomes.length} seeds, ${failed} failed; the lowest of each: ${lowest.join(', ')}`,
    `${(virtualMs / 60_000).toFixed(0)} simulated minutes in ${(wallMs / 1000).toFixed(0)} s: ${speed}`,
    `faults that took effect: ${totalsText(totals(outcomes.map(({ faultsByKind }) => faultsByKind)))}`,
    `the clients met: ${totalsText(metBy(outcomes))}`,
    `the nodes said: ${totalsText(totals(outcomes.map(({ happened }) => happened)))}`,
  ].join('\n')
}

/** How often each fault took effect in each phase. */
export function coverageOf(outcomes: readonly Outcome[]): Coverage {
  const coverage = new Coverage()
  for (const outcome of outcomes) coverage.addAll(outcome.coverage)
  return coverage
}

export function coverageText(coverage: Coverage): string {
  const names = FAULT_NAMES
  const width = Math.max(...names.map(({ length }) => length))
  const columns = PHASES.map((phase) => phase.padStart(Math.max(phase.length, 6)))
  const rows = names.map((name) => {
    const cells = PHASES.map((phase, at) => String(coverage.count(name, phase)).padStart(columns[at]!.length))
    return `${name.padEnd(width)} ${cells.join(' ')}`
  })
  return [`${'fault, by phase'.padEnd(width)} ${columns.join(' ')}`, ...rows].join('\n')
}

function nameOf(measure: (typeof measures)[number]): string {
  return namesOf[measure] ?? measure
}

/** What clients came by in all runs, and how often. */
export function metBy(outcomes: readonly Outcome[]): ReadonlyMap<string, number> {
  return totals(outcomes.map(({ met }) => met))
}

function totals(each: readonly Readonly<Record<string, number>>[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const counts of each) {
    for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count)
  }
  return sums
}

function totalsText(sums: ReadonlyMap<string, number>): string {
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
