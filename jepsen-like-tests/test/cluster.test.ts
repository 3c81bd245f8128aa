import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { Scope, Usage } from '../command.js'
import type { Network } from '../network/types.js'
import { startPrepared } from '../runner/cluster.js'

const scope = new Scope()
afterEach(() => scope.close())

it('a folder in which a run is going on, or was killed, is refused, and nothing of it is touched', async () => {
  const out = await mkdtemp(join(tmpdir(), 'holdfast-jepsen-'))
  await mkdir(join(out, 'data', 'node-1'), { recursive: true })
  const options = { scope, out, nodes: 3, network: {} as Network, nemeses: [], splitAt: [], random: () => 0 }
  await expect(startPrepared(options)).rejects.toThrow(Usage)
  await scope.close()
  expect(await readdir(join(out, 'data'))).toEqual(['node-1'])
  await rm(out, { recursive: true })
})
