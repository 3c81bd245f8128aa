import { describe, expect, it } from 'vitest'
import type { Descriptor } from '../../src/base/descriptor.js'
import type { Generation, NodeId, RangeId } from '../../src/base/ids.js'
import type { Reply } from '../../src/kv/requests.js'
import type { MetaIndex } from '../../src/store/meta-index.js'
import type { Replica } from '../../src/store/replica.js'
import { Routes } from '../../src/store/routes.js'
import { k } from './requests.js'

const range = 5 as RangeId
const indexed = { range, span: { start: k('a'), end: k('m') }, generation: 3 as Generation } as Descriptor
const leaderNode = 2 as NodeId

/** A node that holds this replica of a range that its index knows. */
function routesWith(replica: { hasState: boolean; descriptor: Partial<Descriptor>; voters?: number[] }): Routes {
  const { voters = [1, 2, 3], ...rest } = replica
  const raft = { configuration: { voters, outgoing: [] } }
  const replicas = new Map([[range, { range, id: 1, leaderNode, raft, ...rest } as unknown as Replica]])
  return new Routes({ replicas, index: { from: () => [indexed] } as unknown as MetaIndex, nodes: new Map() })
}

function told(routes: Routes): unknown[] {
  const reply: Reply = routes.reply({ kind: 'routes', id: 1, from: k('a'), limit: 10 } as never)
  return [routes.forKeys([k('b')]), reply.kind === 'routes' && reply.routes]
}

describe('what a node says about who serves what', () => {
  it('is what its own replica has applied', () => {
    const own = { ...indexed, generation: 4 as Generation }
    const route = { descriptor: own, leader: leaderNode }
    expect(told(routesWith({ hasState: true, descriptor: own }))).toEqual([[route], [route]])
  })

  it('is what a replica says that lost its state and is the only one: so its refusal is heard', () => {
    const own = { ...indexed, generation: 4 as Generation }
    const route = { descriptor: own, leader: leaderNode }
    expect(told(routesWith({ hasState: false, descriptor: own, voters: [1] }))).toEqual([[route], [route]])
  })

  it('is nothing in the refusal of a replica that was just placed here: a client takes no range without keys', () => {
    const nowhere = { ...indexed, span: { start: k(''), end: k('') }, generation: 0 as Generation }
    const refusalOf = (descriptor: Descriptor): readonly unknown[] => {
      const routes = routesWith({ hasState: false, descriptor })
      return routes.notLeader({ range, leaderNode, descriptor } as unknown as Replica).routes
    }
    expect(refusalOf(nowhere)).toEqual([])
    expect(refusalOf(indexed)).toEqual([{ descriptor: indexed, leader: leaderNode }])
  })

  it.each([
    ['was just placed here and knows nothing of its range', { span: { start: k(''), end: k('') }, generation: 0 }],
    ['lost its state, and knows a span of the past', { span: { start: k('a'), end: null }, generation: 2 }],
  ])('is not what a replica says that %s', (_, descriptor) => {
    const route = { descriptor: indexed, leader: leaderNode }
    expect(told(routesWith({ hasState: false, descriptor: descriptor as Partial<Descriptor> }))).toEqual([
      [route],
      [route],
    ])
  })
})
