import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.js'
import { startLocalCluster } from '../../src/testing/local-cluster.js'

function openHandles(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Pipe|Server/.test(kind))
}

/** Those of earlier tests may close meanwhile. */
function openedSince(before: readonly string[]): string[] {
  const left = [...before]
  return openHandles().filter((kind) => {
    const at = left.indexOf(kind)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}

describe('a real cluster in a unit test', () => {
  // Others make directories of this kind at the same time: in a folder of our own all of them are ours.
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'))
  const { TMPDIR } = process.env

  beforeAll(() => {
    process.env.TMPDIR = folder
  })

  afterAll(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
    const left = readdirSync(folder)
    rmSync(folder, { recursive: true })
    expect(left).toEqual([])
  })

  it('is one line, and leaves no file and no port', async () => {
    const handlesBefore = openHandles()
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
    await expect.poll(() => openedSince(handlesBefore), { timeout: 30_000 }).toEqual([])
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
