// npm run demo [-- --runs N]
// A fresh cluster of three processes with eight data ranges takes in a real data set while the process that leads most ranges is
// killed twice and one node is stopped for three seconds; beside it a counter and a list grow by conditional puts, so that a lost
// or doubled write shows. Then everything is read back and compared.
import { parseArgs } from 'node:util'
import { eventually, type NodeProcess, ProcessCluster } from '../jepsen-like-tests/processes.js'
import { ConditionFailed, type Holdfast } from '../src/client/index.js'
import { type AnnotationRecord, loadAnnotations } from './lib/annotations.js'

const RANGES = 8
const CALLERS = 256
const STOPPED_MS = 3_000

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '1' } } })
const runs = Number(flags.runs)
if (!Number.isInteger(runs) || runs < 1 || runs > 100) {
  console.error(`--runs: expected 1 to 100, got ${flags.runs}`)
  process.exit(2)
}
const { annotations, records } = await loadAnnotations()
let failures = 0
for (let run = 1; run <= runs; run++) {
  const differences = await demonstrate(run)
  if (differences.length > 0) failures++
  console.log(differences.length === 0 ? 'OK' : differences.join('\n'))
}
if (runs > 1) console.log(`${runs - failures} of ${runs} runs OK`)
process.exit(failures === 0 ? 0 : 1)

async function demonstrate(run: number): Promise<string[]> {
  const cluster = await ProcessCluster.start({ splitAt: boundaries() })
  const db = await cluster.connect()
  try {
    const progress = { rows: 0, longestPauseMs: 0, lastMs: performance.now(), done: false }
    const begin = performance.now()
    const counting = count(db, progress)
    const appending = append(db, progress)
    const breaking = breakThings(cluster, db, progress)
    await importAll(db, progress)
    const seconds = (performance.now() - begin) / 1_000
    progress.done = true
    const faults = await breaking
    const counted = await counting
    const appended = await appending
    const differences = [...(await compare(db)), ...(await compareCounters(db, counted, appended))]
    const rate = Math.round(progress.rows / seconds)
    console.log(
      `run ${run}: ${annotations} annotations as ${progress.rows} rows in ${seconds.toFixed(1)} s (${rate}/s), ` +
        `${counted} counted, ${appended} appended, longest pause between acknowledged writes ${Math.round(progress.longestPauseMs)} ms; ${faults}`,
    )
    return differences
  } finally {
    await db.close()
    await cluster.stop()
  }
}

interface Progress {
  rows: number
  longestPauseMs: number
  lastMs: number
  done: boolean
}

/** Seven keys that cut the sorted input into eight equal parts, as the command line takes them. */
function boundaries(): string[] {
  const sorted = records.map(({ key }) => key).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0))
  return Array.from({ length: RANGES - 1 }, (_, at) => {
    const [locale, emoji] = sorted[Math.floor(((at + 1) * sorted.length) / RANGES)]!
    return JSON.stringify([locale, emoji])
  })
}

async function importAll(db: Holdfast, progress: Progress): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < records.length) {
      const { key, value } = records[next++]!
      await db.put(key, value, { codec: 'json' })
      const now = performance.now()
      progress.longestPauseMs = Math.max(progress.longestPauseMs, now - progress.lastMs)
      progress.lastMs = now
      progress.rows++
    }
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}

/** Increments by reading, then writing on condition that nobody wrote meanwhile. Returns how many increments were acknowledged. */
async function count(db: Holdfast, progress: Progress): Promise<number> {
  await db.put('counter', 0)
  let counted = 0
  while (!progress.done) {
    const entry = (await db.getEntry('counter'))!
    await db.put('counter', (entry.value as number) + 1, { ifVersion: entry.version })
    counted++
  }
  return counted
}

/** A retry that were executed twice would fail its own condition: two writers make sure a true conflict is not taken for it. */
async function append(db: Holdfast, progress: Progress): Promise<number> {
  await db.put('list', [])
  let appended = 0
  const writer = async (name: string): Promise<void> => {
    for (let n = 0; !progress.done; ) {
      const entry = (await db.getEntry('list'))!
      try {
        await db.put('list', [...(entry.value as string[]), `${name}${n}`], { ifVersion: entry.version })
      } catch (error) {
        if (error instanceof ConditionFailed) continue
        throw error
      }
      n++
      appended++
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await Promise.all([writer('a'), writer('b')])
  return appended
}

async function breakThings(cluster: ProcessCluster, db: Holdfast, progress: Progress): Promise<string> {
  const reached = (part: number): Promise<boolean> =>
    eventually(`${part} of the rows`, 300_000, async () => (progress.rows >= records.length * part ? true : null))
  const killed: NodeProcess[] = []
  for (const part of [0.15, 0.45]) {
    await reached(part)
    const node = await cluster.busiest(db)
    await node.end('SIGKILL')
    killed.push(node)
    await reached(part + 0.1)
    node.start()
  }
  await reached(0.75)
  const stopped = cluster.nodes.find((node) => node !== killed.at(-1))!
  stopped.signal('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
  stopped.signal('SIGCONT')
  return `${killed.length} kills, 1 stop of ${STOPPED_MS / 1_000} s`
}

async function compare(db: Holdfast): Promise<string[]> {
  const expected = new Map(
    records.map((record: AnnotationRecord) => [JSON.stringify(record.key), JSON.stringify(record.value)]),
  )
  const differences: string[] = []
  for await (const { key, value } of db.scan({ namespace: 'tuple' })) {
    const name = JSON.stringify(key)
    if (expected.get(name) !== JSON.stringify(value)) differences.push(`unexpected: ${name} = ${JSON.stringify(value)}`)
    expected.delete(name)
  }
  for (const name of expected.keys()) differences.push(`missing: ${name}`)
  return differences.length > 20 ? [...differences.slice(0, 20), `… ${differences.length} differences`] : differences
}

async function compareCounters(db: Holdfast, counted: number, appended: number): Promise<string[]> {
  const differences: string[] = []
  const counter = await db.get('counter')
  if (counter !== counted) differences.push(`counter: ${counted} increments were acknowledged, it stands at ${counter}`)
  const list = (await db.get('list')) as string[]
  if (list.length !== appended) differences.push(`list: ${appended} appends were acknowledged, it holds ${list.length}`)
  for (const name of ['a', 'b']) {
    const own = list.filter((item) => item.startsWith(name))
    if (own.some((item, at) => item !== `${name}${at}`))
      differences.push(`list: the appends of ${name} are not 0, 1, 2, …`)
  }
  return differences
}
