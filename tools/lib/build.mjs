import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { runOrExit } from './processes.mjs'

const OUTPUT_ENDINGS = ['.d.ts', '.js.map', '.js']

/** Compiles into dist, incrementally, and removes what a deleted source file left behind there. */
export async function build(root) {
  pruneOrphans(root)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await runOrExit(process.execPath, [tsc, '-p', root], { cwd: root })
  // npx makes it so only when it sees this folder for the first time, and tsc writes a file anew without it.
  chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755)
}

function pruneOrphans(root) {
  const dist = join(root, 'dist')
  if (!existsSync(dist)) return
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const ending = OUTPUT_ENDINGS.find((candidate) => entry.name.endsWith(candidate))
    if (!entry.isFile() || ending === undefined) continue
    const output = join(entry.parentPath, entry.name)
    const source = join(root, `${relative(dist, output).slice(0, -ending.length)}.ts`)
    if (!existsSync(source)) rmSync(output)
  }
}
