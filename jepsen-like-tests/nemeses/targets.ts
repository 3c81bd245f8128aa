import type { NodeProcess } from '../processes.js'
import { pick, shuffled } from '../random.js'
import type { Battlefield } from './types.js'

export const targets = ['one', 'leader', 'minority', 'majority', 'all'] as const
export type Target = (typeof targets)[number]

/** Numbers of the nodes that are meant, from 1. null: nobody leads, or nobody says who does. */
export async function choose(field: Battlefield, target: Target): Promise<number[] | null> {
  const { cluster, random } = field
  const numbers = cluster.nodes.map((_, at) => at + 1)
  switch (target) {
    case 'one':
      return [pick(random, numbers)]
    case 'leader': {
      const leader = await leaderOf(field)
      return leader === null ? null : [leader]
    }
    case 'minority':
      return some(random, numbers, Math.floor((numbers.length - 1) / 2))
    case 'majority':
      return some(random, numbers, Math.floor(numbers.length / 2) + 1)
    case 'all':
      return numbers
  }
}

/** The node that leads most ranges. */
export async function leaderOf({ cluster, db, failed }: Battlefield): Promise<number | null> {
  try {
    const node = await cluster.busiest(db)
    const at = cluster.nodes.indexOf(node)
    return at === -1 ? null : at + 1
  } catch (error) {
    failed(error)
    return null
  }
}

function some(random: () => number, numbers: readonly number[], count: number): number[] {
  return shuffled(random, numbers)
    .slice(0, count)
    .sort((a, b) => a - b)
}

export function processesOf({ cluster }: Battlefield, numbers: readonly number[]): NodeProcess[] {
  return numbers.map((number) => cluster.nodes[number - 1]!)
}

export function named(numbers: readonly number[]): string {
  return `node${numbers.length === 1 ? '' : 's'} ${numbers.join(', ')}`
}
