import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hunt } from './hunt.js'
import { type Mutant, readMutants } from './mutant.js'
import { blackBox } from './parts.js'
import { BAR, lineOf, type Row, tableOf, verdictOf } from './report.js'
import { SavedHunts } from './saved.js'
import { WorkingCopy } from './working-copy.js'

const usage = `usage: npm run mutants -- [--only NAME,…] [--seeds N] [--jobs N] [--soak] [--save FILE]
  Plants one bug after the other in a copy of this checkout and looks which part of the tests notices: some simulated seeds first, then
  scenarios, properties and exhaustive tests, then the other seeds. Fails where fewer than ${BAR * 100} % are noticed, or a patch no longer applies.
  --only NAME,…  these, by name
  --seeds N      only the first N seeds of the list that every build runs (default: all)
  --jobs N       processes that run seeds (default: one per core)
  --soak         what nothing else noticed meets real processes too
  --save FILE    adds each result to FILE, a line each, and does not hunt again what FILE has of the same bug in the same tree
  --list         what the bugs are`

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string' },
    jobs: { type: 'string' },
    soak: { type: 'boolean', default: false },
    save: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  if (values.help) return say(usage)
  const all = readMutants(join(root, 'test', 'mutants'))
  if (values.list) return say(all.map(describe).join('\n'))
  const chosen = values.only === undefined ? all : named(all, values.only.split(','))
  const saved = values.save === undefined ? null : new SavedHunts({ path: values.save, root, volume: volume() })
  const copy = new WorkingCopy(root)
  try {
    const rows: Row[] = []
    for (const mutant of chosen) {
      const known = saved?.find(mutant) ?? null
      const row = known === null ? await rowOf(copy, mutant) : { mutant, hunt: known }
      if (known === null && row.hunt !== undefined) saved?.add(mutant, row.hunt)
      rows.push(row)
      say(lineOf(row))
    }
    say(tableOf(rows))
    const verdict = verdictOf(rows)
    say(verdict.text)
    return verdict.isGood ? 0 : 1
  } finally {
    copy.remove()
  }
}

function volume(): string {
  return `${values.seeds ?? 'all'} seeds${values.soak ? ', soak' : ''}`
}

async function rowOf(copy: WorkingCopy, mutant: Mutant): Promise<Row> {
  const failure = await copy.plant(mutant)
  if (failure !== null) return { mutant, failure }
  const jobs = values.jobs === undefined ? availableParallelism() : wholeNumber('jobs', values.jobs)
  const seeds = values.seeds === undefined ? null : wholeNumber('seeds', values.seeds)
  return { mutant, hunt: await hunt({ folder: copy.folder, jobs, seeds, soak: values.soak ? blackBox : [] }) }
}

function named(all: readonly Mutant[], names: readonly string[]): readonly Mutant[] {
  return names.map((name) => {
    const found = all.find((mutant) => mutant.name === name)
    if (found === undefined)
      throw new Error(`there is no mutant ${name}; there are ${all.map((each) => each.name).join(', ')}`)
    return found
  })
}

function describe({ name, breaks, standsFor }: Mutant): string {
  return `${name}\n  breaks: ${breaks}\n  stands for: ${standsFor}`
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`--${name} takes a whole number, not '${text}'`)
  return number
}

function say(text: string): 0 {
  console.log(text)
  return 0
}
