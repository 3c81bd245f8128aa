import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.js'
import { startLocalCluster } from '../../src/testing/local-cluster.js'

const PREFIX = 'holdfast-local-'

async function leftOvers(): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith(PREFIX)).sort()
}

function openHandles(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe|Server/.test(kind))
}

describe('a real cluster in a unit test', () => {
  let before: { files: string[]; handles: string[] }

  beforeAll(async () => {
    before = { files: await leftOvers(), handles: openHandles() }
  })

  afterAll(async () => {
    const files = await leftOvers()
    expect(files.filter((name) => !before.files.includes(name))).toEqual([])
  })

  it('is one line, and leaves no file and no port', async () => {
    let endpoints: readonly string[] = []
    {
      await using cluster = await startLocalCluster()
      endpoints = cluster.endpoints
      expect(endpoints).toHaveLength(3)
      await cluster.db.put('greeting', 'hello')
      const other = await connect({ endpoints })
      expect(await other.get('greeting')).toBe('hello')
      await other.close()
    }
    await expect(connect({ endpoints, deadlineMs: 200 })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect.poll(openHandles, { timeout: 30_000 }).toEqual(before.handles)
  })

  it('has as many nodes as it is asked for, and stops once', async () => {
    const cluster = await startLocalCluster({ nodes: 1 })
    expect(cluster.endpoints).toHaveLength(1)
    await cluster.db.put('a', 1)
    await Promise.all([cluster.stop(), cluster.stop()])
    await expect(cluster.db.get('a')).rejects.toBeDefined()
  })

  it.each([0, 8, 1.5])('refuses %s nodes by name', async (nodes) => {
    await expect(startLocalCluster({ nodes })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
