import { join } from 'node:path'
import { FakeClock, libfaketime } from '../faults/fake-clock.js'
import { pick } from '../random.js'
import { choose, named, type Target } from './targets.js'
import type { ClusterPlan, Nemesis } from './types.js'

const JUMP_SECONDS = [-3_600, -30, -1, 1, 30, 3_600]
const RATES = [0.5, 0.9, 1.1, 2]

async function jump(clock: FakeClock, random: () => number): Promise<string> {
  const seconds = pick(random, JUMP_SECONDS)
  await clock.jump(seconds)
  return `jumps by ${seconds} s`
}

async function rate(clock: FakeClock, random: () => number): Promise<string> {
  const factor = pick(random, RATES)
  await clock.rate(factor)
  return `goes ${factor} times as fast since its start`
}

/** The clocks of one cluster's nodes. */
class Clocks {
  readonly #clocks = new Map<number, FakeClock>()

  /** Once for a cluster, however many of its nemeses want it. */
  async prepare({ directory, nodes }: ClusterPlan): Promise<void> {
    if (this.#clocks.size > 0) return
    const library = (await libfaketime())!
    for (const { env, number } of nodes) {
      const clock = await FakeClock.make(join(directory, `clock-${number}`), library)
      this.#clocks.set(number, clock)
      const { LD_PRELOAD, ...rest } = clock.env
      Object.assign(env, rest, { LD_PRELOAD: [LD_PRELOAD, env.LD_PRELOAD].filter(Boolean).join(':') })
    }
  }

  nemesis(options: {
    name: string
    about: string
    target: Target
    change: (clock: FakeClock, random: () => number) => Promise<string>
  }): Nemesis {
    return {
      name: options.name,
      about: options.about,
      family: 'clocks',
      whyNot: async () => ((await libfaketime()) === null ? 'libfaketime is missing (package libfaketime)' : null),
      prepare: (plan) => this.prepare(plan),
      strike: async (field) => {
        const chosen = await choose(field, options.target)
        if (chosen === null) return null
        const done: string[] = []
        for (const number of chosen) {
          done.push(`${named([number])} ${await options.change(this.#clocks.get(number)!, field.random)}`)
        }
        return {
          what: `clocks: ${done.join('; ')}`,
          heal: async () => {
            for (const number of chosen) await this.#clocks.get(number)!.heal()
          },
        }
      },
    }
  }
}

/** Wall clocks only: a monotonic one does not jump on real machines. */
export function clockNemeses(): Nemesis[] {
  const clocks = new Clocks()
  return [
    clocks.nemesis({
      name: 'clock-jump-one',
      about: 'the wall clock of one node jumps, by a second up to an hour, and back when it is healed',
      target: 'one',
      change: jump,
    }),
    clocks.nemesis({
      name: 'clock-jump-all',
      about: 'the wall clocks of all nodes jump, each elsewhere',
      target: 'all',
      change: jump,
    }),
    clocks.nemesis({
      name: 'clock-rate',
      about: 'the wall clock of one node goes at half to twice its speed',
      target: 'one',
      change: rate,
    }),
  ]
}
