import { slowNode as begin, noSlowNodes } from '../faults/slow-node.js'
import { pick } from '../random.js'
import { InForce } from './in-force.js'
import { choose, named, processesOf } from './targets.js'
import type { Nemesis } from './types.js'

const inForce = new InForce()

export const slowNode: Nemesis = {
  name: 'slow-node',
  about: 'one node, or the busiest leader, gets a twentieth to a fifth of a core',
  family: 'processes',
  whyNot: () => noSlowNodes(),
  prepare: async (plan) => inForce.prepare(plan, 'slow-node'),
  strike: async (field) => {
    const numbers = await choose(field, pick(field.random, ['one', 'leader']))
    if (numbers === null) return null
    const [node] = processesOf(field, numbers)
    if (node === undefined || !node.isUp) return null
    const percent = pick(field.random, [5, 10, 20])
    const heal = inForce.add(await begin({ pid: node.pid, percent }))
    return { what: `${named(numbers)} slowed down to ${percent} % of a core`, heal }
  },
}
