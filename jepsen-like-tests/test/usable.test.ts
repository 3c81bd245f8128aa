import { describe, expect, it } from 'vitest'
import type { Nemesis } from '../nemeses/types.js'
import type { Network } from '../network/types.js'
import { usableOf } from '../runner/usable.js'

const network = { noDelay: 'not here' } as Network

function nemesis(name: string, parts: Partial<Nemesis> = {}): Nemesis {
  return { name, about: '', family: 'disks', whyNot: async () => null, strike: async () => null, ...parts }
}

describe('of the nemeses that were asked for', () => {
  it('those that the machine, the network or the number of nodes does not allow are skipped by name', async () => {
    const asked = [
      nemesis('possible'),
      nemesis('delay', { whyNot: async ({ noDelay }) => noDelay }),
      nemesis('ring', { nodesMin: 5 }),
    ]
    const { usable, skipped } = await usableOf(asked, { nodes: 3, network })
    expect(usable.map(({ name }) => name)).toEqual(['possible'])
    expect(skipped).toEqual([
      { nemesis: 'delay', why: 'not here' },
      { nemesis: 'ring', why: 'it needs 5 nodes' },
    ])
  })

  it('one run has disks of one kind: that of the first that can be done', async () => {
    const asked = [
      nemesis('impossible', { disk: 'losing', whyNot: async () => 'no' }),
      nemesis('power', { disk: 'power' }),
      nemesis('losing', { disk: 'losing' }),
      nemesis('full', { disk: 'power' }),
      nemesis('kill'),
    ]
    const { usable, skipped } = await usableOf(asked, { nodes: 3, network })
    expect(usable.map(({ name }) => name)).toEqual(['power', 'full', 'kill'])
    expect(skipped.at(-1)).toEqual({ nemesis: 'losing', why: 'it needs other disks than power' })
  })
})
