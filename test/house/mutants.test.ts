import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { readMutants } from '../mutants/mutant.js'
import { root } from './project.js'

const run = promisify(execFile)
const mutants = readMutants(join(root, 'test', 'mutants'))

describe('a bug that is kept to be planted', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant.path]))('%s still applies to the sources', async (_, path) => {
    // A checkout around this one is none of our business.
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(root) }
    await expect(run('git', ['apply', '--check', path], { cwd: root, env })).resolves.toBeDefined()
  })
})
