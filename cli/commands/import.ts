import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Argument, Command, Option } from 'commander'
import { HoldfastError } from '../../src/base/errors.js'
import type { Holdfast } from '../../src/client/index.js'
import { type ClusterOptions, deadlineOption, endpointOption, integer, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { importRows } from '../import-rows.js'
import { readLines } from '../lines.js'
import { startProgress } from '../progress.js'
import { parseRow } from '../rows.js'
import { KeySample } from '../sampling.js'
import { writeJson, writeLine } from '../terminal.js'
import { codecOption, type ValueCodec } from '../values.js'

const IMPORT_DEADLINE_MS = 30_000
const IN_FLIGHT_DEFAULT = 512
const IN_FLIGHT_MAX = 4_096
const PRESPLIT_MAX = 1_000
/** How much of standard input is held back as a sample. */
const HELD_BYTES_MAX = 8 * 1024 * 1024

interface ImportCommandOptions extends ClusterOptions {
  readonly codec: ValueCodec
  readonly presplit?: number
  readonly inFlight: number
}

export function importCommand(context: Context): Command {
  return new Command('import')
    .description('put every row of a JSON Lines file')
    .addArgument(new Argument('[file]', 'the file, or - for standard input').default('-'))
    .addOption(codecOption('msgpack'))
    .addOption(
      new Option('--presplit <n>', 'first cut the keys of the input into this many parts, and ranges there').argParser(
        integer({ min: 2, max: PRESPLIT_MAX }),
      ),
    )
    .addOption(
      new Option('--in-flight <n>', 'puts under way at once')
        .argParser(integer({ min: 1, max: IN_FLIGHT_MAX }))
        .default(IN_FLIGHT_DEFAULT),
    )
    .addOption(endpointOption())
    .addOption(deadlineOption(IMPORT_DEADLINE_MS))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
A line is {"key":…,"value":…} and may name its "codec"; --codec is for lines that don't. A key is a string or a tuple as an
array. --presplit reads a file twice; of standard input it samples the first 8 MiB. Importing the same rows again is safe.

Examples:
  holdfast import users.jsonl
  holdfast import users.jsonl --presplit 8
  holdfast export -e 10.0.0.1:7400 | holdfast import`,
    )
    .action(async (file: string, options: ImportCommandOptions) => {
      const source = await openSource(file, context)
      const { rows, seconds, splits } = await withCluster(context, options, (db) => run(db, source, context, options))
      const perSecond = Math.round(rows / Math.max(seconds, 0.001))
      if (options.json) await writeJson(context.terminal, { rows, seconds, perSecond, splits })
      else await writeLine(context.terminal, `${rows} rows in ${seconds.toFixed(1)} s, ${perSecond} rows/s`)
    })
}

interface Source {
  /** null: not known. */
  readonly totalBytes: number | null
  /** Keys to cut the input by. */
  sample(codec: ValueCodec): Promise<KeySample>
  /** Everything from the beginning; once. */
  read(): AsyncIterable<Uint8Array>
}

async function openSource(file: string, context: Context): Promise<Source> {
  if (file === '-') return inputSource(context.terminal.input)
  const { size } = await stat(file)
  const read = () => createReadStream(file) as AsyncIterable<Uint8Array>
  return { totalBytes: size, read, sample: (codec) => sampleOf(read(), codec) }
}

/** Standard input can't be read twice: its beginning is held back as the sample. */
function inputSource(input: AsyncIterable<Uint8Array>): Source {
  const chunks = input[Symbol.asyncIterator]()
  const held: Uint8Array[] = []
  return {
    totalBytes: null,
    async sample(codec) {
      for (let bytes = 0; bytes < HELD_BYTES_MAX; ) {
        const next = await chunks.next()
        if (next.done === true) break
        held.push(next.value)
        bytes += next.value.length
      }
      return sampleOf(wholeLines(held), codec)
    },
    async *read() {
      yield* held
      yield* { [Symbol.asyncIterator]: () => chunks }
    },
  }
}

/** Without the last line, which may go on beyond what is held. */
async function* wholeLines(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const all = Buffer.concat(chunks)
  yield all.subarray(0, all.lastIndexOf(10) + 1)
}

async function sampleOf(chunks: AsyncIterable<Uint8Array>, codec: ValueCodec): Promise<KeySample> {
  const sample = new KeySample()
  for await (const line of readLines(chunks)) sample.add(parseRow(line, codec).key)
  return sample
}

async function run(db: Holdfast, source: Source, context: Context, options: ImportCommandOptions) {
  const splits = options.presplit === undefined ? 0 : await presplit(db, source, context, options)
  const progress = startProgress(context.terminal, source)
  const started = performance.now()
  try {
    const rows = await importRows(db, source.read(), {
      codec: options.codec,
      inFlight: options.inFlight,
      onProgress: (done) => progress.update(done),
    })
    return { rows, seconds: (performance.now() - started) / 1000, splits }
  } finally {
    progress.stop()
  }
}

async function presplit(
  db: Holdfast,
  source: Source,
  context: Context,
  options: ImportCommandOptions,
): Promise<number> {
  const cuts = (await source.sample(options.codec)).cuts(options.presplit!)
  let made = 0
  for (const cut of cuts) made += (await splitUnlessCut(db, cut)) ? 1 : 0
  if (cuts.length + 1 < options.presplit!) {
    context.terminal.note(`the keys of the input allow ${cuts.length + 1} parts, not ${options.presplit}\n`)
  }
  return made
}

/** False: a range begins there already, as when an import is run again. */
async function splitUnlessCut(db: Holdfast, key: Parameters<Holdfast['split']>[0]): Promise<boolean> {
  try {
    await db.split(key)
    return true
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'INVALID_ARGUMENT') return false
    throw error
  }
}
