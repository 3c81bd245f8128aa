// npm run bench -- [--compare] [--json] [--rounds N] [--seconds N] [--systems holdfast,etcd3,limit]
// Three processes per system, 16 B keys, 256 B values, every write synced on a majority, reads linearizable without leases, all
// callers in this one process. Systems take turns within a round, and each starts fresh; a row is the median of its rounds.
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { fill, type Measured, measure } from './lib/load.js'
import { type System, systems } from './lib/systems.js'

const { values } = parseArgs({
  options: {
    compare: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    systems: { type: 'string' },
  },
})
const rounds = bounded('rounds', values.rounds, 20)
const seconds = bounded('seconds', values.seconds, 60)
const chosen = choose(values.systems ?? (values.compare ? systems.map(({ name }) => name).join(',') : 'holdfast'))

interface Row extends Measured {
  system: string
  op: 'put' | 'get'
  callers: number
}

const measured: Row[] = []
for (let round = 1; round <= rounds; round++) {
  for (const system of chosen) measured.push(...(await measureSystem(system)))
  process.stderr.write(`round ${round} of ${rounds} done\n`)
}
const rows = medians(measured)
if (values.json) console.log(JSON.stringify(rows, null, 2))
else print(rows)
process.exit(0)

async function measureSystem(system: System): Promise<Row[]> {
  const running = await system.start()
  try {
    await fill(running.client)
    const own: Row[] = []
    for (const op of ['put', 'get'] as const) {
      for (const callers of system.callers) {
        own.push({ system: system.name, op, callers, ...(await measure(running.client, { op, callers, seconds })) })
      }
    }
    return own
  } finally {
    await running.stop()
  }
}

function medians(all: readonly Row[]): Row[] {
  const groups = new Map<string, Row[]>()
  for (const row of all) {
    const name = `${row.system} ${row.op} ${row.callers}`
    groups.set(name, [...(groups.get(name) ?? []), row])
  }
  return [...groups.values()].map((group) => group.sort((a, b) => a.perSecond - b.perSecond)[group.length >> 1]!)
}

function print(all: readonly Row[]): void {
  const table = new Table({ head: ['system', 'op', 'callers', 'per second', 'p50 ms', 'p99 ms'] })
  for (const { system, op, callers, perSecond, p50Ms, p99Ms } of all)
    table.push([system, op, callers, perSecond, p50Ms, p99Ms])
  console.log(table.toString())
}

function choose(names: string): System[] {
  return names.split(',').map((name) => {
    const system = systems.find((each) => each.name === name)
    if (system === undefined)
      fail(`--systems: expected some of ${systems.map((each) => each.name).join(', ')}, got ${name}`)
    return system
  })
}

function bounded(name: string, text: string, max: number): number {
  const number = Number(text)
  if (!(number > 0 && number <= max)) fail(`--${name}: expected a number above 0 and up to ${max}, got ${text}`)
  return number
}

function fail(message: string): never {
  console.error(message)
  process.exit(2)
}
