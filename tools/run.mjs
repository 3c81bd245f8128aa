// The one way into this checkout for people and machines: brings the packages and the build up to date, then runs a task.
// Needs Node and npm only, so nothing here may import a package.
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from './lib/build.mjs'
import { install } from './lib/install.mjs'
import { withLock } from './lib/lock.mjs'
import { test } from './lib/tests.mjs'
import { verify } from './lib/verify.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

const tasks = {
  build: { about: 'install packages and compile', run: async () => 0 },
  dev: { about: 'a cluster of three processes on this machine', run: (args) => enter('cli/main.js', ['dev', ...args]) },
  test: { about: 'all tests; further arguments go to vitest', run: (args) => test({ root, args }) },
  verify: { about: 'format, lint, dead code, package shape', run: () => verify(root) },
  demo: { about: 'import real data while nodes are killed', run: (args) => enter('bench/demo.js', args) },
  bench: { about: 'throughput and latency', run: (args) => enter('bench/main.js', args) },
  failover: { about: 'how long writes pause when a leader dies', run: (args) => enter('bench/failover.js', args) },
  overload: {
    about: 'memory of a node whose clients or peers do not keep up',
    run: (args) => enter('bench/overload.js', args),
  },
  sim: { about: 'the simulated cluster by seed', run: (args) => enter('test/sim/run.js', args) },
  mutants: {
    about: 'planted bugs, and which part of the tests notices each',
    run: (args) => enter('test/mutants/run.js', args),
  },
  powercut: { about: 'power cuts of real nodes on real file systems', run: (args) => blackBox('powercut', args) },
  rot: { about: 'a damaged file of each kind under real nodes', run: (args) => blackBox('rot', args) },
  'retry-storm': { about: 'replies lost between nodes and clients', run: (args) => blackBox('retry-storm', args) },
  'rolling-restart': { about: 'orderly restarts under load', run: (args) => blackBox('rolling-restart', args) },
  jepsen: {
    about: "real processes under faults, their clients' history judged",
    run: (args) => blackBox('jepsen', args),
  },
  'jepsen:soak': { about: 'an hour of such runs with random mixes', run: (args) => blackBox('jepsen-soak', args) },
  million: { about: 'memory, restart and copy of a million keys', run: (args) => enter('bench/million.js', args) },
  reseed: {
    about: 'memory while a large range is sent to a node that lost its disk',
    run: (args) => enter('bench/reseed.js', args),
  },
}

function blackBox(name, args) {
  return enter(`jepsen-like-tests/commands/${name}.js`, args)
}

/** Runs a compiled program in this very process: it gets signals, terminal and exit code first hand. */
async function enter(program, args) {
  if (process.env.npm_lifecycle_event !== undefined) endWithParent()
  const path = join(root, 'dist', program)
  process.argv = [process.argv[0], path, ...args]
  await import(pathToFileURL(path).href)
  return null
}

/** npm that is killed outright tells nobody: without this a cluster would go on alone. */
function endWithParent() {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, 1000)
  watch.unref()
}

const [name, ...args] = process.argv.slice(2)
const task = Object.hasOwn(tasks, name ?? '') ? tasks[name] : undefined
if (task === undefined) {
  console.error(`unknown task ${name ?? '(none)'}; expected one of:`)
  for (const [known, { about }] of Object.entries(tasks)) console.error(`  ${known.padEnd(16)} ${about}`)
  process.exit(2)
}
await withLock(join(root, 'dist', '.lock'), async () => {
  await install(root)
  await build(root)
})
const code = await task.run(args)
if (code !== null) process.exitCode = code
