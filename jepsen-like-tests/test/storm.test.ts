import { describe, expect, it } from 'vitest'
import { HistoryLog } from '../history.js'
import type { Battlefield, Family, Nemesis, Strike } from '../nemeses/types.js'
import type { NodeProcess } from '../processes.js'
import { seeded } from '../random.js'
import { Storm } from '../runner/storm.js'

/** Nemeses that only note what is in force. */
class Stage {
  readonly inForce: Nemesis[] = []
  readonly struck: string[] = []
  readonly tried = new Set<string>()
  clashes = 0
  together = 0

  nemesis(name: string, family: Family, options: { canStrike?: boolean; failsOnce?: boolean } = {}): Nemesis {
    const nemesis: Nemesis = {
      name,
      about: '',
      family,
      whyNot: async () => null,
      strike: async () => {
        const hasFailed = this.tried.has(name)
        this.tried.add(name)
        if (options.canStrike === false || (options.failsOnce === true && !hasFailed)) return null
        if (this.inForce.some((other) => other.family === family)) this.clashes++
        if (this.inForce.length > 0) this.together++
        this.inForce.push(nemesis)
        this.struck.push(name)
        return { what: name, heal: async () => void this.inForce.splice(this.inForce.indexOf(nemesis), 1) }
      },
    }
    return nemesis
  }

  /** Until `strikes` have been made. */
  async run(nemeses: readonly Nemesis[], strikes: number): Promise<Storm> {
    const field = { random: seeded(3) } as unknown as Battlefield
    const storm: Storm = new Storm({
      nemeses,
      field,
      history: new HistoryLog(),
      served: () => this.struck.length * 1_000,
      wait: async () => {
        if (this.struck.length >= strikes) storm.over()
      },
    })
    await storm.run(() => {})
    return storm
  }
}

describe('the storm', () => {
  it('lets every nemesis strike before one strikes again', async () => {
    const stage = new Stage()
    const names = ['a', 'b', 'c', 'd', 'e']
    await stage.run(
      names.map((name) => stage.nemesis(name, 'processes')),
      20,
    )
    for (let round = 0; round < 4; round++)
      expect(stage.struck.slice(round * 5, round * 5 + 5).sort(), `round ${round}`).toEqual(names)
  })

  it('lets two strike at once, never two of one family, and heals them all', async () => {
    const stage = new Stage()
    const families: Family[] = ['processes', 'processes', 'network', 'network', 'clocks']
    const nemeses = families.map((family, at) => stage.nemesis(`n${at}`, family))
    const storm = await stage.run(nemeses, 200)
    expect(stage.clashes).toBe(0)
    expect(stage.together).toBeGreaterThan(20)
    expect(stage.inForce).toEqual([])
    expect(storm.faults.every(({ start_ns, end_ns }) => end_ns > start_ns)).toBe(true)
  })

  it('gives what could not take effect another turn in the same round', async () => {
    const stage = new Stage()
    await stage.run(
      [...'abc'].map((name) => stage.nemesis(name, 'processes', { failsOnce: name === 'b' })),
      6,
    )
    expect([stage.struck.slice(0, 3).sort(), stage.struck.slice(3, 6).sort()]).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ])
  })

  it('looks after the nodes before each strike, and when all is healed', async () => {
    const seen: string[] = []
    const strike = async (): Promise<Strike> => {
      seen.push('strike')
      return { what: '', heal: async () => void seen.push('heal') }
    }
    const storm: Storm = new Storm({
      nemeses: [{ name: 'a', about: '', family: 'processes', whyNot: async () => null, strike }],
      field: { random: seeded(3) } as unknown as Battlefield,
      history: new HistoryLog(),
      served: () => 0,
      wait: async () => storm.over(),
    })
    await storm.run(() => seen.push('look'))
    expect(seen).toEqual(['look', 'strike', 'heal', 'look'])
  })

  it('explains only ends of nodes that it struck, since then, with the words of the fault', async () => {
    const [struck, other] = [{}, {}] as [NodeProcess, NodeProcess]
    const storm: Storm = new Storm({
      nemeses: [
        {
          name: 'a',
          about: '',
          family: 'processes',
          whyNot: async () => null,
          strike: async () => ({ what: '', mayEnd: { nodes: [struck], saying: /EIO/ }, heal: async () => {} }),
        },
      ],
      field: { random: seeded(3) } as unknown as Battlefield,
      history: new HistoryLog(),
      served: () => 0,
      wait: async () => storm.over(),
    })
    const end = { what: '', said: 'fatal: EIO', atMs: performance.now() + 1_000 }
    expect(storm.explains(struck, end)).toBe(false)
    const beforeMs = performance.now()
    await storm.run(() => {})
    expect(storm.explains(struck, end)).toBe(true)
    expect(storm.explains(other, end)).toBe(false)
    expect(storm.explains(struck, { ...end, said: 'fatal: the store contradicts itself' })).toBe(false)
    expect(storm.explains(struck, { ...end, atMs: beforeMs })).toBe(false)
  })

  it('counts only what took effect', async () => {
    const stage = new Stage()
    const nemeses = [stage.nemesis('never', 'network', { canStrike: false }), stage.nemesis('always', 'processes')]
    const storm = await stage.run(nemeses, 5)
    expect(storm.counts()).toEqual({ never: 0, always: storm.faults.length })
    expect(storm.unseen).toEqual(['never'])
    expect(storm.faults.length).toBeGreaterThanOrEqual(5)
  })
})
