import fc from 'fast-check'
import { simulate, startLocalCluster } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { Carts } from './cart.js'

const user = fc.constantFrom('ann', 'bob')
const item = fc.constantFrom('apple', 'pear')
const node = fc.constantFrom(1, 2, 3, 'leader' as const)
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('add' as const), user, item, count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('partition' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2_000 }) }) },
)

test('carts hold what was added, whatever happens to the nodes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 12 }), async (seed, steps) => {
      const cluster = simulate({ seed, nodes: 3 })
      // Two processes of the service: what both add at once must not get lost.
      const [one, other] = [new Carts(cluster.db), new Carts(cluster.client())]
      const expected = new Map<string, number>()
      await cluster.run(
        async () => {
          const adding: Promise<void>[] = []
          for (const [at, each] of steps.entries()) {
            if (each.do === 'wait') await cluster.clock.sleep(each.ms)
            if (each.do === 'crash') {
              const id = cluster.crash(each.node)
              if (id !== null) cluster.clock.setTimer(3_000, () => cluster.restart(id))
            }
            if (each.do === 'partition') cluster.clock.setTimer(3_000, cluster.partition(each.node))
            if (each.do === 'add') {
              const name = `${each.user} ${each.item}`
              expected.set(name, (expected.get(name) ?? 0) + each.count)
              adding.push((at % 2 === 0 ? one : other).add(each.user, each.item, each.count))
            }
          }
          await Promise.all(adding)
          for (const name of ['ann', 'bob']) {
            for (const [thing, count] of Object.entries(await other.items(name))) {
              expect([name, thing, count]).toEqual([name, thing, expected.get(`${name} ${thing}`)])
              expected.delete(`${name} ${thing}`)
            }
          }
          expect(expected).toEqual(new Map())
        },
        { limitMs: 120_000 },
      )
      await cluster.verify()
    }),
    { numRuns: 5, seed: 1 },
  )
})

test('carts work on a real cluster', async () => {
  await using cluster = await startLocalCluster()
  const carts = new Carts(cluster.db)
  await carts.add('ann', 'apple', 2)
  expect(await carts.items('ann')).toEqual({ apple: 2 })
})
