import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { runOrExit } from './processes.mjs'

/**
 * Installs what the lock file names unless our stamp says that exactly this was installed for this Node and platform.
 * Not left to npm's pre-scripts: a user's `ignore-scripts` skips those.
 */
export async function install(root) {
  const stampFile = join(root, 'node_modules', '.holdfast-installed')
  const stamp = stampOf(root)
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  console.error('installing packages (npm ci)')
  const [command, ...first] = npm()
  await runOrExit(command, [...first, 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: root,
  })
  writeFileSync(stampFile, stamp)
}

function stampOf(root) {
  const hash = createHash('sha256').update(readFileSync(join(root, 'package-lock.json')))
  return `${hash.digest('hex')} abi ${process.versions.modules} ${process.platform} ${process.arch}\n`
}

/** The npm that runs us, if it is npm: another may not be on the path. */
function npm() {
  const path = process.env.npm_execpath
  return path !== undefined && basename(path) === 'npm-cli.js' ? [process.execPath, path] : ['npm']
}
