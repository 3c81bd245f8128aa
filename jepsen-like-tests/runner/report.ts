import { createWriteStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { formatOperation } from '../../src/testing/index.js'
import type { RunOptions, RunResult } from './run.js'
import { timelineHtml } from './timeline.js'

/** What a run leaves: history.jsonl, faults.jsonl, summary.json, timeline.html. (The nodes' logs are there already.) */
export async function writeReport(options: RunOptions, result: RunResult): Promise<void> {
  const { out } = options
  const { history, storm, findings } = result
  await writeSeen(out, result)
  await writeFile(join(out, 'summary.json'), `${JSON.stringify(summaryOf(options, result), null, 2)}\n`)
  await writeFile(
    join(out, 'timeline.html'),
    timelineHtml({ title: options.name, operations: history.operations, faults: storm.faults, findings }),
  )
}

/** history.jsonl and faults.jsonl. */
export async function writeSeen(out: string, { history, storm }: Pick<RunResult, 'history' | 'storm'>): Promise<void> {
  await writeLines(join(out, 'history.jsonl'), history.operations.map(formatOperation))
  await writeLines(
    join(out, 'faults.jsonl'),
    storm.faults.map((fault) => JSON.stringify(fault)),
  )
}

async function writeLines(path: string, lines: readonly string[]): Promise<void> {
  await pipeline(Readable.from(lines.map((line) => `${line}\n`)), createWriteStream(path))
}

function summaryOf(options: RunOptions, result: RunResult): object {
  const { name, nodes, seed, workloads } = options
  const { findings, history, seconds, skipped, storm, undecided, verdict } = result
  return {
    name,
    verdict,
    seed,
    nodes,
    seconds: Math.round(seconds),
    faultSeconds: Math.round(storm.faultMs / 1_000),
    workloads: Object.fromEntries(workloads.map((workload) => [workload.name, countsOf(history.tally(workload.name))])),
    faults: storm.counts(),
    errors: Object.fromEntries(history.errors),
    skipped,
    findings: findings.map(({ what, operations }) => ({ what, operations })),
    undecided,
  }
}

function countsOf({ ok, reads, writes, unknown, okByKey }: ReturnType<RunResult['history']['tally']>): object {
  return { ok, reads, writes, unknown, keys: okByKey.size }
}

/** One row for each run; below them, why those are undecided that are. */
export function summaryTable(results: readonly RunResult[]): string {
  const head = ['run', 'verdict', 'seconds', 'of faults', 'faults', 'ok', 'reads', 'writes', 'unknown', 'keys']
  const rows = results.map(({ history, name, seconds, storm, verdict }) => {
    const sum = history.total()
    const numbers = [
      seconds,
      storm.faultMs / 1_000,
      storm.faults.length,
      sum.ok,
      sum.reads,
      sum.writes,
      sum.unknown,
      sum.okByKey.size,
    ]
    return [name, verdict, ...numbers.map((number) => String(Math.round(number)))]
  })
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]!.length)))
  const line = (row: readonly string[]): string =>
    row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  ')
  const why = results.flatMap(({ name, undecided }) => undecided.map((each) => `${name} is undecided: ${each}`))
  return [...[head, ...rows].map(line), ...why].join('\n')
}

/** What a person wants to know of one run. */
export function describeResult(result: RunResult, out: string): string {
  const { history, skipped, storm } = result
  const counts = Object.entries(storm.counts()).map(([name, count]) => `${name} ${count}`)
  const errors = [...history.errors].map(([code, count]) => `${code} ${count}`)
  return [
    summaryTable([result]),
    `faults: ${counts.join(', ')}`,
    `errors: ${errors.length === 0 ? 'none' : errors.join(', ')}`,
    ...skipped.map(({ nemesis, why }) => `skipped ${nemesis}: ${why}`),
    `history, faults, logs and timeline: ${out}`,
  ].join('\n')
}
