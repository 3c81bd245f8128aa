import { ReplyProxy } from '../faults/reply-proxy.js'
import type { Nemesis } from './types.js'

const LOST_PERCENT = 20

/** What the node has done and said never reaches its client, which must ask again without having it done again. */
export function replies(): Nemesis {
  let isRaging = false
  return {
    name: 'replies',
    about: `${LOST_PERCENT} % of the replies to clients are lost, by cutting the connection before they are delivered`,
    family: 'network',
    whyNot: async () => null,
    prepare: async ({ nodes, random, scope }) => {
      for (const node of nodes) {
        const drops = (): boolean => isRaging && random() * 100 < LOST_PERCENT
        const proxy = await ReplyProxy.start({ target: node.advertise, drops })
        scope.defer('reply proxy', () => proxy.close())
        node.advertise = proxy.address
      }
    },
    strike: async () => {
      isRaging = true
      return {
        what: `${LOST_PERCENT} % of replies lost`,
        heal: async () => {
          isRaging = false
        },
      }
    },
  }
}
