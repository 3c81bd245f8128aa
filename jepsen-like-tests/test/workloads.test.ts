import { describe, expect, it } from 'vitest'
import { HistoryLog } from '../history.js'
import { seeded } from '../random.js'
import { judge } from '../runner/verdict.js'
import { workloads } from '../workloads/index.js'
import { type Flaw, FlawedDb } from './flawed-db.js'

const OK_MIN = 250

/** Runs the workload on a store with that flaw, and says what it and the search found. */
async function findings(name: string, flaw: Flaw, seed = 5): Promise<string[]> {
  const workload = workloads.find((each) => each.name === name)!
  const history = new HistoryLog()
  const db = new FlawedDb(flaw, seeded(seed)).asHoldfast()
  const context = { history, random: seeded(seed + 1), connection: () => db, hangUps: 0.05 }
  const running = await workload.start(context)
  while (history.tally(name).ok < OK_MIN || (running.lack?.() ?? null) !== null)
    await new Promise((resolve) => setImmediate(resolve))
  await running.stop()
  const found = [...(await running.check(db)), ...judge(history.operations).findings]
  for (const { operations } of found) for (const at of operations) expect(history.operations[at]).toBeDefined()
  return found.map(({ what }) => what)
}

describe('a workload on a store that does everything right finds nothing', () => {
  it.each(workloads.map(({ name }) => name))('%s', async (name) => {
    expect(await findings(name, 'none')).toEqual([])
  })
})

describe('a workload on a flawed store notices', () => {
  it.each<[string, Flaw]>([
    ['register', 'loses'],
    ['register', 'forgets'],
    ['register', 'lags'],
    ['set', 'loses'],
    ['set', 'invents'],
    ['set', 'hides'],
    ['append', 'doubles'],
    ['append', 'loses'],
    ['counter', 'doubles'],
    ['counter', 'loses'],
    ['scan', 'disorders'],
    ['scan', 'hides'],
    ['scan', 'loses'],
    ['batch', 'tears'],
    ['batch', 'hides'],
    ['long-read', 'tears'],
    ['long-read', 'hides'],
  ])('%s: one that %s', async (name, flaw) => {
    // A flaw shows when somebody looks before it is written over: hardly ever in none of so many short runs.
    const found: string[] = []
    for (let run = 0; found.length === 0 && run < 20; run++) found.push(...(await findings(name, flaw, 5 + 2 * run)))
    expect(found).not.toEqual([])
  })
})
