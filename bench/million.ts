// npm run million [-- --keys N]
// A data set that is larger than a node's caches: how much memory it needs, how long a restart takes, and whether what is exported
// and imported elsewhere is the same.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { runCommand, type Scope, Skip } from '../jepsen-like-tests/command.js'
import { eventually, ProcessCluster, runCli } from '../jepsen-like-tests/processes.js'
import { wholeAgain } from '../jepsen-like-tests/whole.js'
import { MemoryWatch, processorSeconds } from './lib/memory.js'

const VALUE_BYTES = 256
const MiB = 1024 * 1024
const RANGES = 8
const holdfast = fileURLToPath(new URL('../cli/main.js', import.meta.url))

await runCommand(
  {
    name: 'million',
    about: 'Imports keys of 256 B; measures memory and restarts; exports into a second cluster and compares.',
    settings: {
      keys: { value: 1_000_000, min: 1_000, max: 20_000_000, about: 'keys' },
      'memory-mib': { value: 400, min: 1, max: 65_536, about: 'bar: anonymous memory of a node, buffers included' },
      'restart-seconds': { value: 10, min: 1, max: 600, about: 'bar: from start to serving everything' },
    },
    secondsMax: ({ keys }) => 300 + keys / 500,
  },
  async ({ keys, 'memory-mib': memoryMib, 'restart-seconds': restartSeconds }, scope) => {
    if (process.platform !== 'linux')
      throw new Skip('anonymous memory is told by /proc, which this system does not have')
    const violations: string[] = []
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-million-'))
    scope.defer(directory, () => rm(directory, { recursive: true }))
    const file = join(directory, 'rows.jsonl')
    await writeRows(file, keys)

    const first = await startCluster(scope)
    const watch = new MemoryWatch(() => first.nodes.filter((node) => node.isUp).map((node) => node.pid))
    scope.defer('memory watch', () => watch.stop())
    const remember = (when: string): void => {
      const mib = Math.round(watch.take() / MiB)
      console.log(`anonymous memory of the largest node, buffers included, ${when}: ${mib} MiB (bar ${memoryMib})`)
      if (mib > memoryMib) violations.push(`${when}: ${mib} MiB of anonymous memory, the bar is ${memoryMib}`)
    }
    const imported = await runCli(['import', file, '--presplit', String(RANGES), ...endpoints(first)])
    console.log(`import: ${imported.trim()}`)
    remember('at its highest during the import')

    for (const how of ['one node', 'all nodes'] as const) {
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const { seconds, processor } = await restart(first, how, signal)
        console.log(
          `restart of ${how} after ${signal}: serving in ${seconds.toFixed(1)} s (bar ${restartSeconds}), ` +
            `processor time of the busiest node ${processor.toFixed(1)} s`,
        )
        if (seconds > restartSeconds)
          violations.push(
            `restart of ${how} after ${signal} took ${seconds.toFixed(1)} s, the bar is ${restartSeconds}`,
          )
      }
    }
    remember('at its highest over the restarts')

    const second = await startCluster(scope)
    const copied = await exportInto(first, second)
    remember('at its highest during the export')
    const again = await hashOfExport(second)
    const isEqual = copied.sha256 === again.sha256 && copied.rows === keys && again.rows === keys
    console.log(`export | import: ${copied.rows} rows, sha256 ${copied.sha256}`)
    console.log(`exported again:  ${again.rows} rows, sha256 ${again.sha256}: ${isEqual ? 'equal' : 'DIFFERENT'}`)
    if (!isEqual) violations.push(`the copy differs, or has not ${keys} rows`)
    return violations
  },
)

async function startCluster(scope: Scope): Promise<ProcessCluster> {
  const onMade = (made: ProcessCluster): void => scope.defer('processes', () => made.stop())
  const cluster = await ProcessCluster.start({ onMade })
  // Written by the start to see that it serves; it is no row of ours.
  await runCli(['del', 'ready', ...endpoints(cluster)])
  return cluster
}

function endpoints(cluster: ProcessCluster): string[] {
  return ['--endpoint', cluster.endpoints.join(',')]
}

/** In no order, as real data comes. */
async function writeRows(path: string, count: number): Promise<void> {
  const out = createWriteStream(path)
  // A step that has no divisor in common with the count visits every key once.
  const step = 1_000_003
  for (let n = 0; n < count; n++) {
    const key = `key${String((n * step) % count).padStart(9, '0')}`
    const noise = createHash('sha256').update(key).digest('hex')
    const line = `${JSON.stringify({ key, value: noise.repeat(VALUE_BYTES / noise.length), codec: 'utf8' })}\n`
    if (!out.write(line)) await once(out, 'drain')
  }
  out.end()
  await once(out, 'finish')
}

/** Seconds from the start of the process(es) until every replica has applied what its range had committed. */
async function restart(
  cluster: ProcessCluster,
  how: 'one node' | 'all nodes',
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<{ seconds: number; processor: number }> {
  const nodes = how === 'one node' ? cluster.nodes.slice(0, 1) : cluster.nodes
  await Promise.all(nodes.map((node) => node.end(signal)))
  const begin = performance.now()
  for (const node of nodes) node.start()
  const db = await eventually('a node that answers', 120_000, () => cluster.connect())
  await wholeAgain(cluster, db, 120_000)
  await db.get('key000000001')
  const seconds = (performance.now() - begin) / 1_000
  await db.close()
  return { seconds, processor: Math.max(...nodes.map(({ pid }) => processorSeconds(pid))) }
}

interface Exported {
  readonly rows: number
  readonly sha256: string
}

async function exportInto(from: ProcessCluster, to: ProcessCluster): Promise<Exported> {
  const reader = spawn(process.execPath, [holdfast, 'export', ...endpoints(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const writer = spawn(process.execPath, [holdfast, 'import', '--presplit', String(RANGES), ...endpoints(to)], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const ends = [once(reader, 'close'), once(writer, 'close')] as const
  const { through, result } = hashing()
  await pipeline(reader.stdout, through, writer.stdin)
  for (const end of ends) if ((await end)[0] !== 0) throw new Error('export | import failed')
  return result()
}

async function hashOfExport(from: ProcessCluster): Promise<Exported> {
  const reader = spawn(process.execPath, [holdfast, 'export', ...endpoints(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const end = once(reader, 'close')
  const { through, result } = hashing()
  await pipeline(reader.stdout, through.resume())
  if ((await end)[0] !== 0) throw new Error('export failed')
  return result()
}

/** Lets everything through, and knows its lines and its hash afterwards. */
function hashing() {
  const hash = createHash('sha256')
  let rows = 0
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) rows++
      done(null, chunk)
    },
  })
  return { through, result: (): Exported => ({ rows, sha256: hash.digest('hex') }) }
}
