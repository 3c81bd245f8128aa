import { readdir, readlink, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Bench, refusal } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

/** Files below the directory that this process has open. */
async function openIn(directory: string): Promise<string[]> {
  const handles = await readdir('/proc/self/fd')
  const paths = await Promise.all(handles.map((handle) => readlink(`/proc/self/fd/${handle}`).catch(() => '')))
  return paths.filter((path) => path.startsWith(`${directory}/`))
}

describe.skipIf(process.platform !== 'linux')('a start that fails', () => {
  test('leaves nothing open and the directory free, and the next one serves', async () => {
    const [node] = await bench.cluster(1)
    expect((await openIn(node!.directory)).length).toBeGreaterThan(0)
    await node!.stop()
    const state = join(node!.directory, 'state')
    await rename(state, `${state}.kept`)
    await writeFile(state, 'a file in the place of the directory')
    expect((await refusal(node!.start())).message).toContain('EEXIST')
    expect(await openIn(node!.directory)).toEqual([])
    await rm(state)
    await rename(`${state}.kept`, state)
    await node!.start()
    expect(node!.id).toBe(1)
  })
})
