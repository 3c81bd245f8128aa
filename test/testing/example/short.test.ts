import { simulate, startLocalCluster } from 'holdfast/testing'
import { expect, test } from 'vitest'

test('a greeting outlives its leader', async () => {
  const cluster = simulate({ seed: 1, nodes: 3 })
  await cluster.run(async () => {
    await cluster.db.put('greeting', 'hello')
    cluster.crash('leader')
    expect(await cluster.db.get('greeting')).toBe('hello')
  })
  await cluster.verify()
})

test('a greeting on a real cluster', async () => {
  await using cluster = await startLocalCluster()
  await cluster.db.put('greeting', 'hello')
  expect(await cluster.db.get('greeting')).toBe('hello')
})
