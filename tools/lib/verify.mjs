import { join } from 'node:path'
import { run } from './processes.mjs'

const CHECKS = [
  { name: 'format and lint', script: '@biomejs/biome/bin/biome', args: ['check', '.'] },
  { name: 'types that only the type checker sees', script: 'eslint/bin/eslint.js', args: ['.', '--max-warnings=0'] },
  { name: 'unused files, exports, packages', script: 'knip/bin/knip.js', args: [] },
  { name: 'package', script: 'publint/src/cli.js', args: ['--strict'] },
  {
    name: 'package types',
    script: '@arethetypeswrong/cli/dist/index.js',
    args: ['--pack', '.', '--profile', 'esm-only'],
  },
]

/** Everything that is checked without running the code. Runs all checks, then resolves to 1 if any failed. */
export async function verify(root) {
  const failed = []
  for (const check of CHECKS) {
    console.log(`--- ${check.name}`)
    const script = join(root, 'node_modules', check.script)
    const code = await run(process.execPath, [script, ...check.args], { cwd: root })
    if (code > 128) return code
    if (code !== 0) failed.push(check.name)
  }
  console.log(failed.length === 0 ? 'verified' : `not verified: ${failed.join('; ')}`)
  return failed.length === 0 ? 0 : 1
}
