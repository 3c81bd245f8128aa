import { calm } from '../network/types.js'
import { pick } from '../random.js'
import type { Nemesis } from './types.js'

/** TCP makes up for what is lost, with delays that double each time. */
export const loss: Nemesis = {
  name: 'loss',
  about: 'a share of all packets is lost: 5, 15 or 30 %',
  family: 'network',
  medium: 'packets',
  whyNot: async ({ noLoss }) => noLoss,
  strike: async ({ network, random }) => {
    const lossPercent = pick(random, [5, 15, 30])
    await network.impose({ ...calm, lossPercent })
    return { what: `${lossPercent} % of packets lost`, heal: () => network.impose(calm) }
  },
}

/** Nodes talk over several connections. Within one, TCP sorts again what was overtaken; the simulator reorders those messages too. */
export const delay: Nemesis = {
  name: 'delay',
  about:
    'all arrives late, by 20, 80 or 250 ms and up to as much again; messages on different connections overtake each other',
  family: 'network',
  medium: 'proxies',
  whyNot: async ({ noDelay }) => noDelay,
  strike: async ({ network, random }) => {
    const delayMs = pick(random, [20, 80, 250])
    await network.impose({ ...calm, delayMs, jitterMs: delayMs })
    return { what: `everything ${delayMs} to ${2 * delayMs} ms late`, heal: () => network.impose(calm) }
  },
}
