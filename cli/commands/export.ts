import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { realpath, rename, stat } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { Command, Option } from 'commander'
import type { Holdfast } from '../../src/client/index.js'
import { type ClusterOptions, deadlineOption, endpointOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { formatRow } from '../rows.js'
import type { Terminal } from '../terminal.js'

const EXPORT_DEADLINE_MS = 30_000
/** Lines are written in parts of about this size. */
const PART_CHARACTERS = 64 * 1024
/** Less what the process masks out. */
const NEW_FILE_MODE = 0o666

interface ExportOptions extends ClusterOptions {
  readonly output?: string
  readonly namespace: 'raw' | 'tuple' | 'all'
}

export function exportCommand(context: Context): Command {
  return new Command('export')
    .description('write all keys and values as JSON Lines, in key order')
    .addOption(
      new Option('-o, --output <file>', 'write here instead of standard output; <file>.part until it is whole'),
    )
    .addOption(
      new Option('--namespace <name>', 'string keys, tuple keys, or both')
        .choices(['raw', 'tuple', 'all'])
        .default('all'),
    )
    .addOption(endpointOption())
    .addOption(deadlineOption(EXPORT_DEADLINE_MS))
    .addHelpText(
      'after',
      `
A line is {"key":…,"value":…,"codec":…}: strings as strings, tuples as arrays, bytes as {"$bytes":"base64"}, big integers
as {"$bigint":"…"}. What is exported and imported again is equal. Every range is read at its own moment.

Examples:
  holdfast export > all.jsonl
  holdfast export --namespace tuple -o users.jsonl`,
    )
    .action(async (options: ExportOptions) => {
      const started = performance.now()
      const rows = await withCluster(context, options, async (db) => {
        const sink = options.output === undefined ? terminalSink(context.terminal) : await fileSink(options.output)
        const written = await writeRows(db, options.namespace, sink)
        await sink.close()
        return written
      })
      const seconds = (performance.now() - started) / 1000
      context.terminal.note(`${rows} rows in ${seconds.toFixed(1)} s\n`)
    })
}

interface Sink {
  write(text: string): Promise<void>
  close(): Promise<void>
}

function terminalSink(terminal: Terminal): Sink {
  return { write: (text) => terminal.write(text), close: async () => {} }
}

/** A file that is there already is replaced once the new one is whole, so that it survives what goes wrong before. */
async function fileSink(path: string): Promise<Sink> {
  const there = await stat(path).catch(() => null)
  // A pipe or a device is written to as it is.
  if (there !== null && !there.isFile()) return streamSink(createWriteStream(path), async () => {})
  const whole = there === null ? path : await realpath(path)
  const part = `${whole}.part`
  const stream = createWriteStream(part, { mode: there?.mode ?? NEW_FILE_MODE })
  return streamSink(stream, () => rename(part, whole))
}

function streamSink(stream: WriteStream, whole: () => Promise<void>): Sink {
  const ended = finished(stream)
  // Looked at in close; a failure before that must not count as unhandled.
  ended.catch(() => {})
  return {
    async write(text) {
      if (stream.errored !== null) throw stream.errored
      if (!stream.write(text)) await Promise.race([once(stream, 'drain'), ended])
    },
    async close() {
      stream.end()
      await ended
      await whole()
    },
  }
}

async function writeRows(db: Holdfast, namespace: ExportOptions['namespace'], sink: Sink): Promise<number> {
  let rows = 0
  let part = ''
  for (const each of namespace === 'all' ? (['raw', 'tuple'] as const) : [namespace]) {
    for await (const entry of db.scan({ namespace: each })) {
      part += `${formatRow(entry)}\n`
      rows += 1
      if (part.length >= PART_CHARACTERS) {
        await sink.write(part)
        part = ''
      }
    }
  }
  if (part !== '') await sink.write(part)
  return rows
}
