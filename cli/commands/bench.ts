import { Command, Option } from 'commander'
import { limits } from '../../src/base/limits.js'
import { type ClusterOptions, deadlineOption, endpointOption, integer, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { EXIT_UNAVAILABLE } from '../failure.js'
import { generateLoad, type LoadResult } from '../load.js'
import { table } from '../tables.js'
import { writeJson } from '../terminal.js'

const SECONDS_MAX = 3_600
const COUNT_MAX = 1_000_000_000
const KEYS_MAX = 10_000_000

interface BenchOptions extends ClusterOptions {
  readonly op: 'put' | 'get'
  readonly callers: number
  readonly seconds: number
  readonly count: number
  readonly keys: number
  readonly valueBytes: number
  readonly prefix: string
}

export function benchCommand(context: Context): Command {
  return new Command('bench')
    .description('load a running cluster and show rate and latencies')
    .addOption(new Option('--op <op>', 'what to do').choices(['put', 'get']).default('put'))
    .addOption(
      bounded('--callers <n>', 'calls under way at once', { max: limits.clientRequestsInFlightMax, fallback: 64 }),
    )
    .addOption(bounded('--seconds <n>', 'stop after this long', { max: SECONDS_MAX, fallback: 10 }))
    .addOption(bounded('--count <n>', 'stop after this many calls', { max: COUNT_MAX, fallback: COUNT_MAX }))
    .addOption(bounded('--keys <n>', 'different keys', { max: KEYS_MAX, fallback: 10_000 }))
    .addOption(bounded('--value-bytes <n>', 'size of a value', { max: limits.valueBytesMax, fallback: 256 }))
    .addOption(new Option('--prefix <text>', 'what its keys begin with').default('bench/'))
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Writes string keys under --prefix, also before --op get, and leaves them there. Ends with 3 if any call failed.

Examples:
  holdfast bench
  holdfast bench --op get --callers 512 --seconds 5
  holdfast bench --count 1000 --json`,
    )
    .action(async (options: BenchOptions) => {
      const result = await withCluster(context, options, (db) => generateLoad(db, options))
      if (options.json) await writeJson(context.terminal, result)
      else await context.terminal.write(resultTable(result))
      if (result.failed > 0) {
        context.exitCode = EXIT_UNAVAILABLE
        context.terminal.note(`${result.failed} calls failed: ${JSON.stringify(result.errors)}\n`)
      }
    })
}

function bounded(flags: string, description: string, { max, fallback }: { max: number; fallback: number }): Option {
  return new Option(flags, description).argParser(integer({ min: 1, max })).default(fallback)
}

function resultTable(result: LoadResult): string {
  const ms = (value: number) => value.toFixed(2)
  return table(
    ['OP', 'CALLERS', 'CALLS', 'SECONDS', 'PER SECOND', 'P50 MS', 'P99 MS', 'P99.9 MS', 'MAX MS'],
    [
      [
        result.op,
        result.callers,
        result.done,
        result.seconds.toFixed(1),
        result.perSecond,
        ms(result.p50Ms),
        ms(result.p99Ms),
        ms(result.p999Ms),
        ms(result.maxMs),
      ],
    ],
  )
}
