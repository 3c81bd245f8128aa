import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fixed } from '../sim/seeds.js'
import { exhaustive, properties, type Suite, scenarios } from './parts.js'
import { runNode } from './program.js'
import type { SeedsRun } from './seeds-program.js'

/** Which part of the tests said that something is wrong. */
export type Part = 'seed' | 'scenario' | 'property' | 'exhaustive' | 'black box'

export interface Caught {
  readonly by: Part
  /** Which seed, test or run. */
  readonly where: string
  /** What it said, in a line. */
  readonly said: string
}

export interface Hunt {
  /** Null: nothing was noticed. */
  readonly caught: Caught | null
  /** Seeds that were run. */
  readonly seeds: number
  readonly ms: number
}

export interface HuntOptions {
  /** Of the copy in which the mutant is planted and compiled. */
  readonly folder: string
  /** Processes that run seeds at the same time. */
  readonly jobs: number
  /** Of the list of every build: so many; null: all. */
  readonly seeds: number | null
  /** The black box as well: runs of real processes, one after the other. Arguments of each. */
  readonly soak: readonly (readonly string[])[]
}

/** What vitest says of a test that has a bound of its own and took longer. */
const TIMED_OUT = 'Test timed out in'
/** Run before anything else: they find most, and soon. */
const FIRST_SEEDS = 20
const SEEDS_MS_MAX = 3_600_000
const SUITE_MS_MAX = 900_000
const SOAK_MS_MAX = 900_000

/**
 * What finds most in the least time comes first: some seeds, the tests, the other seeds, real processes. Ends where anything is noticed.
 */
export async function hunt(options: HuntOptions): Promise<Hunt> {
  const began = performance.now()
  const first = await runSeeds(options, { from: 0, to: FIRST_SEEDS })
  let { count } = first
  let caught = first.caught ?? (await runSuites(options.folder))
  if (caught === null) {
    const others = await runSeeds(options, { from: FIRST_SEEDS, to: Number.POSITIVE_INFINITY })
    count += others.count
    caught = others.caught ?? (await runSoak(options))
  }
  return { caught, seeds: count, ms: performance.now() - began }
}

/** Those at these places of the list, `to` not among them. */
async function runSeeds(
  { folder, jobs, seeds }: HuntOptions,
  { from, to }: { from: number; to: number },
): Promise<{ count: number; caught: Caught | null }> {
  const end = Math.min(to, seeds ?? fixed.length)
  if (from >= end) return { count: 0, caught: null }
  const program = join(folder, 'dist', 'test', 'mutants', 'seeds-program.js')
  const args = [program, '--jobs', String(jobs), '--from', String(from), '--to', String(end)]
  const { code, output } = await runNode(args, { cwd: folder, msMax: SEEDS_MS_MAX })
  if (code === null) return { count: 0, caught: { by: 'seed', where: 'all', said: 'the seeds do not end' } }
  const last = output.trim().split('\n').at(-1)!
  if (code !== 0 || !last.startsWith('{')) throw new Error(`the seeds could not be run:\n${output}`)
  const { count, failed } = JSON.parse(last) as SeedsRun
  if (failed === null) return { count, caught: null }
  return { count, caught: { by: 'seed', where: `seed ${failed.seed}`, said: firstLine(failed.violation) } }
}

async function runSuites(folder: string): Promise<Caught | null> {
  const parts = { scenario: scenarios, property: properties, exhaustive } as const
  for (const by of ['scenario', 'property', 'exhaustive'] as const) {
    for (const suite of parts[by]) {
      const failure = await runSuite(folder, suite)
      if (failure !== null) return { by, ...failure }
    }
  }
  return null
}

/** With the volume of a full build. */
async function runSuite(folder: string, suite: Suite): Promise<{ where: string; said: string } | null> {
  const reports = mkdtempSync(join(tmpdir(), 'holdfast-mutants-'))
  const report = join(reports, 'vitest.json')
  const named = suite.tests === undefined ? [] : [`--testNamePattern=${suite.tests.map(escaped).join('|')}`]
  const vitest = join(folder, 'node_modules', 'vitest', 'vitest.mjs')
  const file = join(folder, 'dist', `${suite.file}.test.js`)
  try {
    const { code, output } = await runNode(
      [vitest, 'run', '--bail=1', '--testTimeout=0', '--reporter=json', `--outputFile=${report}`, ...named, file],
      { cwd: folder, msMax: SUITE_MS_MAX, env: { HOLDFAST_CI: '1', HOLDFAST_FIRST_FAILURE: '1' } },
    )
    if (code === 0) return null
    if (code === null) return { where: suite.file, said: 'does not end' }
    const failure = failureIn(report) ?? { where: suite.file, said: firstLine(output) }
    // A slow machine is no catch.
    return failure.said.includes(TIMED_OUT) ? null : failure
  } finally {
    rmSync(reports, { recursive: true, force: true })
  }
}

interface Report {
  readonly testResults: readonly {
    readonly message: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

function failureIn(path: string): { where: string; said: string } | null {
  let report: Report
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    return null
  }
  for (const { assertionResults } of report.testResults) {
    const failed = assertionResults.find(({ status }) => status === 'failed')
    if (failed !== undefined) {
      return { where: failed.fullName.trim(), said: firstLine(failed.failureMessages[0] ?? 'failed') }
    }
  }
  return null
}

async function runSoak({ folder, soak }: HuntOptions): Promise<Caught | null> {
  for (const [program, ...args] of soak) {
    const path = join(folder, 'dist', program!)
    const { code, output } = await runNode([path, ...args], { cwd: folder, msMax: SOAK_MS_MAX })
    if (code !== 0) {
      const said = code === null ? 'does not end' : output.trim().split('\n').at(-1)!
      return { by: 'black box', where: [program, ...args].join(' '), said }
    }
  }
  return null
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]!
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
