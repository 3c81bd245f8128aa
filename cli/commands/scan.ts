import { Command, Option } from 'commander'
import { keyToJson, type ScanOptions } from '../../src/client/index.js'
import {
  type ClusterOptions,
  consistencyOption,
  deadlineOption,
  endpointOption,
  integer,
  maxStaleOption,
  type ReadCommandOptions,
  rawOption,
} from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { namespaceOf, parseKey, showKey } from '../keys.js'
import { oneLine, table } from '../tables.js'
import { writeLine } from '../terminal.js'
import { entryToJson, showValue } from '../values.js'

const LIMIT_DEFAULT = 100
const TABLE_ROWS = 1_000

interface ScanCommandOptions extends ClusterOptions, ReadCommandOptions {
  readonly prefix?: string
  readonly start?: string
  readonly end?: string
  readonly limit: number
  readonly reverse?: true
  readonly keysOnly?: true
  readonly namespace?: 'raw' | 'tuple'
  readonly raw?: true
}

export function scanCommand(context: Context): Command {
  return new Command('scan')
    .description('list keys and values in key order')
    .addOption(new Option('--prefix <key>', 'keys that begin with this one').conflicts(['start', 'end']))
    .addOption(new Option('--start <key>', 'first key (included)'))
    .addOption(new Option('--end <key>', 'where to stop (not included)'))
    .addOption(
      new Option('--limit <n>', 'at most this many rows')
        .argParser(integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))
        .default(LIMIT_DEFAULT),
    )
    .addOption(new Option('--reverse', 'the same span, last key first'))
    .addOption(new Option('--keys-only', 'leave the values out'))
    .addOption(
      new Option(
        '--namespace <name>',
        'string keys or tuple keys (default: what the keys given are, else raw)',
      ).choices(['raw', 'tuple']),
    )
    .addOption(consistencyOption())
    .addOption(maxStaleOption())
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(new Option('--json', 'print one JSON object per line'))
    .addHelpText(
      'after',
      `
Over several ranges each one is read at its own moment, none before the scan began.

Examples:
  holdfast scan --prefix user/
  holdfast scan --start a --end m --limit 20
  holdfast scan --prefix '["user"]' --reverse --json
  holdfast scan --namespace tuple --keys-only`,
    )
    .action(async (options: ScanCommandOptions) => {
      const asked = scanOptions(options)
      await withCluster(context, options, async (db) => {
        if (options.json) await printLines(context, db.scan(asked), options)
        else await printTable(context, db.scan(asked), options)
      })
    })
}

function scanOptions(options: ScanCommandOptions): ScanOptions {
  const keys = Object.entries({ prefix: options.prefix, start: options.start, end: options.end })
    .filter((pair): pair is [string, string] => pair[1] !== undefined)
    .map(([name, text]) => [name, parseKey(text, options)] as const)
  const first = keys[0]
  return {
    ...Object.fromEntries(keys),
    namespace: options.namespace ?? (first === undefined ? 'raw' : namespaceOf(first[1])),
    limit: options.limit,
    reverse: options.reverse === true,
    keysOnly: options.keysOnly === true,
    consistency: options.consistency,
    maxStaleMs: options.maxStaleMs,
  }
}

type Rows = ReturnType<import('../../src/client/index.js').Holdfast['scan']>

async function printLines({ terminal }: Context, rows: Rows, { keysOnly }: ScanCommandOptions): Promise<void> {
  for await (const row of rows) {
    const line = keysOnly ? { key: keyToJson(row.key), version: row.version } : entryToJson(row)
    await writeLine(terminal, JSON.stringify(line))
  }
}

/** In parts of bounded size: columns are aligned within a part. */
async function printTable({ terminal }: Context, rows: Rows, options: ScanCommandOptions): Promise<void> {
  let part: string[][] = []
  let count = 0
  const flush = async () => {
    if (part.length > 0)
      await terminal.write(table(options.keysOnly ? ['KEY', 'VERSION'] : ['KEY', 'VERSION', 'VALUE'], part))
    part = []
  }
  for await (const row of rows) {
    const key = oneLine(showKey(keyToJson(row.key)))
    part.push(options.keysOnly ? [key, String(row.version)] : [key, String(row.version), oneLine(showValue(row))])
    count += 1
    if (part.length === TABLE_ROWS) await flush()
  }
  await flush()
  if (count === options.limit) terminal.note(`stopped after ${count} rows: --limit allows more\n`)
}
