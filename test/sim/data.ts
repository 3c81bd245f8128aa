import { expect } from 'vitest'
import type { RangeId } from '../../src/base/ids.js'
import type { SimCluster } from '../../src/testing/cluster.js'

/** Writes `count` values of about `bytes` each under a prefix; returns what was acknowledged. */
export async function fill(
  cluster: SimCluster,
  prefix: string,
  count: number,
  bytes = 200,
): Promise<Map<string, string>> {
  const db = cluster.client()
  const written = new Map<string, string>()
  const filler = 'x'.repeat(bytes)
  await cluster.run(async () => {
    for (let at = 0; at < count; at++) {
      const [key, value] = [`${prefix}${at}`, `${at}/${filler}`]
      await db.put(key, value)
      written.set(key, value)
    }
  })
  return written
}

/** Every value reads back as it was acknowledged. */
export async function expectAll(cluster: SimCluster, written: ReadonlyMap<string, string>): Promise<void> {
  const db = cluster.client()
  const keys = [...written.keys()]
  for (let from = 0; from < keys.length; from += 100) {
    const some = keys.slice(from, from + 100)
    expect(await cluster.run(() => db.getMany(some))).toEqual(some.map((key) => written.get(key)))
  }
}

/** Replicas of a range, as its leader has applied them; none while nobody leads it. */
export function replicasOf(cluster: SimCluster, range: number): string[] {
  const leader = cluster.leaderOf(range)
  const replicas = leader === null ? [] : cluster.node(leader).store!.replica(range as RangeId)!.descriptor.replicas
  return replicas.map(({ replica, node, role }) => `${replica}@${node} ${role}`)
}
