import { type Block, calm, type Host, type Network } from '../network/types.js'
import { pick, shuffled } from '../random.js'
import { choose, leaderOf, named } from './targets.js'
import type { Battlefield, Nemesis, Strike } from './types.js'

const FLAP_MS = { on: 400, off: 300 }

/** Who is cut off from whom, and how to say it. null: it can't be done just now. */
interface Cut {
  readonly what: string
  readonly blocks: readonly Block[]
}

function both(left: readonly Host[], right: readonly Host[]): Block[] {
  return left.flatMap((a) =>
    right.flatMap((b) => [
      { from: a, to: b },
      { from: b, to: a },
    ]),
  )
}

function numbersOf({ cluster }: Battlefield): number[] {
  return cluster.nodes.map((_, at) => at + 1)
}

function others(all: readonly number[], without: readonly number[]): number[] {
  return all.filter((number) => !without.includes(number))
}

function partition(options: {
  shape: string
  about: string
  nodesMin?: number
  cut: (field: Battlefield) => Promise<Cut | null>
}): Nemesis {
  const { shape, about, nodesMin, cut } = options
  return {
    name: `partition-${shape}`,
    about,
    family: 'network',
    ...(nodesMin === undefined ? {} : { nodesMin }),
    whyNot: async ({ noBlocks }) => noBlocks,
    strike: async (field): Promise<Strike | null> => {
      const found = await cut(field)
      if (found === null) return null
      await imposeBlocks(field.network, found.blocks)
      return { what: `partition: ${found.what}`, heal: () => field.network.impose(calm) }
    },
  }
}

function imposeBlocks(network: Network, blocks: readonly Block[]): Promise<void> {
  return network.impose({ ...calm, blocks })
}

/** A majority here, a minority there; clients reach both. */
const halves = partition({
  shape: 'halves',
  about: 'two halves, one of them a majority; clients reach both',
  cut: async (field) => {
    const order = shuffled(field.random, numbersOf(field))
    const right = order.splice(0, Math.floor(order.length / 2))
    return { what: `${named(order)} | ${named(right)}`, blocks: both(order, right) }
  },
})

const isolate = partition({
  shape: 'isolate',
  about: 'one node alone, without clients',
  cut: async (field) => {
    const [alone] = (await choose(field, 'one'))!
    const rest = others(numbersOf(field), [alone!])
    return { what: `node ${alone} alone`, blocks: both([alone!], [...rest, 'clients']) }
  },
})

const leader = partition({
  shape: 'leader',
  about: 'the busiest leader is cut off from the other nodes; clients still reach it',
  cut: async (field) => {
    const alone = await leaderOf(field)
    if (alone === null) return null
    return { what: `leader ${alone} | the others`, blocks: both([alone], others(numbersOf(field), [alone])) }
  },
})

const oneWay = partition({
  shape: 'one-way',
  about: 'the busiest leader hears the other nodes and is not heard, or the other way round',
  cut: async (field) => {
    const node = await leaderOf(field)
    if (node === null) return null
    const rest = others(numbersOf(field), [node])
    if (field.random() < 0.5) {
      return { what: `leader ${node} is not heard by the others`, blocks: rest.map((to) => ({ from: node, to })) }
    }
    return { what: `leader ${node} does not hear the others`, blocks: rest.map((from) => ({ from, to: node })) }
  },
})

const pair = partition({
  shape: 'pair',
  about: 'two nodes do not reach each other, all others reach both',
  cut: async (field) => {
    const [a, b] = shuffled(field.random, numbersOf(field)) as [number, number]
    return { what: `node ${a} and node ${b} from each other`, blocks: both([a], [b]) }
  },
})

/** Each node sees a majority, no two the same one. */
const ring = partition({
  shape: 'ring',
  about: 'each node reaches its two neighbours in a ring only (5 nodes)',
  nodesMin: 5,
  cut: async (field) => {
    const order = shuffled(field.random, numbersOf(field))
    const apart = order.flatMap((a, at) =>
      order.flatMap((b, bt) => {
        const distance = Math.min((bt - at + order.length) % order.length, (at - bt + order.length) % order.length)
        return distance > 1 ? [{ from: a, to: b }] : []
      }),
    )
    return { what: `ring ${order.join('-')}`, blocks: apart }
  },
})

const bridge = partition({
  shape: 'bridge',
  about: 'two halves that only one node connects (5 nodes)',
  nodesMin: 5,
  cut: async (field) => {
    const [middle, ...rest] = shuffled(field.random, numbersOf(field)) as [number, ...number[]]
    const right = rest.splice(0, Math.floor(rest.length / 2))
    return { what: `${named(rest)} | bridge ${middle} | ${named(right)}`, blocks: both(rest, right) }
  },
})

const peers = partition({
  shape: 'peers',
  about: 'no node reaches any other, clients reach all',
  cut: async (field) => {
    const all = numbersOf(field)
    return {
      what: 'no node reaches another',
      blocks: all.flatMap((from) => others(all, [from]).map((to) => ({ from, to }))),
    }
  },
})

const clients = partition({
  shape: 'clients',
  about: 'clients do not reach the busiest leader, the other nodes do; sometimes they reach nobody',
  cut: async (field) => {
    const cutOff = field.random() < 0.3 ? numbersOf(field) : await choose(field, 'leader')
    if (cutOff === null) return null
    return { what: `clients | ${named(cutOff)}`, blocks: both(['clients'], cutOff) }
  },
})

/** Long enough for an election to begin, short enough to disturb it. */
const flapping: Nemesis = {
  name: 'partition-flapping',
  about: `one node is cut off for ${FLAP_MS.on} ms, back for ${FLAP_MS.off} ms, again and again, the leader often`,
  family: 'network',
  whyNot: async ({ noBlocks }) => noBlocks,
  strike: async (field) => {
    const alone = (await choose(field, pick(field.random, ['one', 'leader', 'leader'])))?.[0]
    if (alone === undefined) return null
    const rest = others(numbersOf(field), [alone])
    let isHealed = false
    const flap = async (): Promise<void> => {
      while (!isHealed) {
        await imposeBlocks(field.network, both([alone], rest))
        await pauseFor(FLAP_MS.on)
        await field.network.impose(calm)
        if (!isHealed) await pauseFor(FLAP_MS.off)
      }
    }
    const flapped = flap()
    flapped.catch(() => {})
    return {
      what: `flapping: node ${alone} | the others`,
      heal: async () => {
        isHealed = true
        await flapped
      },
    }
  },
}

function pauseFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export const partitionNemeses: readonly Nemesis[] = [
  halves,
  isolate,
  leader,
  oneWay,
  pair,
  ring,
  bridge,
  peers,
  clients,
  flapping,
]
