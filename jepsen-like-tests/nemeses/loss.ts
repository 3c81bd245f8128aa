import { calm } from '../network/types.js'
import { pick } from '../random.js'
import type { Nemesis } from './types.js'

/** TCP makes up for what is lost, with delays that double each time. */
export const loss: Nemesis = {
  name: 'loss',
  about: 'a share of all packets is lost: 5, 15 or 30 %',
  family: 'network',
  whyNot: async ({ noLoss }) => noLoss,
  strike: async ({ network, random }) => {
    const lossPercent = pick(random, [5, 15, 30])
    await network.impose({ ...calm, lossPercent })
    return { what: `${lossPercent} % of packets lost`, heal: () => network.impose(calm) }
  },
}
