// What an append to the log costs: the sync thread against libuv's pool, and a whole append of one small entry.
// Usage, after `npx tsc -p .`: node bench/log-sync.mjs [--directory DIR] [--appends N]
import { closeSync, fdatasync, openSync, readFileSync, write } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { directory: { type: 'string' }, appends: { type: 'string' }, dist: { type: 'string' } },
})
const appends = Number(values.appends ?? 2000)
const room = new URL(`../${values.dist ?? 'dist'}/src/storage/`, import.meta.url)
const { openNodeFiles } = await import(new URL('files-node.js', room))
const { openNodeLog } = await import(new URL('log/log.js', room))

const MiB = 1024 * 1024
const SEGMENT_BYTES = 32 * MiB
const directory = await mkdtemp(join(values.directory ?? tmpdir(), 'holdfast-log-sync-'))
const files = await openNodeFiles(directory)
const rows = []

// The best of several rounds: other load on the machine only ever adds.
const ROUNDS = 3
async function best(round) {
  const results = []
  for (let count = 0; count < ROUNDS; count += 1) results.push(await round())
  return results.sort((a, b) => a.p50Us - b.p50Us)[0]
}

for (const busy of [false, true]) {
  for (const bytes of [4096, 65536]) {
    for (const kind of ['pool', 'thread']) {
      const path = `${kind}-${bytes}-${busy}`
      const file = await files.createLogFile(path, SEGMENT_BYTES)
      const fd = openSync(join(directory, path), 'r+')
      const shared = new Uint8Array(new SharedArrayBuffer(bytes)).fill(7)
      const one = kind === 'thread' ? viaThread(file, shared) : viaPool(fd, shared)
      rows.push({
        what: `${kind}${busy ? ', pool busy' : ''}`,
        bytes,
        ...(await best(() => measure(one, bytes, busy))),
      })
      closeSync(fd)
      await file.close()
    }
  }
}
for (const bytes of [300, 65536]) rows.push({ what: 'whole append', bytes, ...(await best(() => measureLog(bytes))) })

console.table(rows)
await files.close()
await rm(directory, { recursive: true })

function viaThread(file, shared) {
  return (at, done) => file.writeAndSync({ bytes: shared, at }, done)
}

function viaPool(fd, shared) {
  return (at, done) => write(fd, shared, 0, shared.length, at, () => fdatasync(fd, done))
}

/** Latency of one after another; `busy`: eight other tasks of about 5 ms always wait for the pool's four threads. */
async function measure(one, bytes, busy) {
  const stop = busy ? await keepPoolBusy() : () => {}
  let at = 0
  const run = () =>
    new Promise((resolve, reject) => {
      if (at + bytes > SEGMENT_BYTES) at = 0
      one(at, (error) => (error ? reject(error) : resolve()))
      at += bytes
    })
  const result = await timed(run)
  stop()
  return result
}

async function timed(run) {
  for (let times = 0; times < 1000; times += 1) await run()
  const times = []
  const before = mainThreadMs()
  for (let count = 0; count < appends; count += 1) {
    const began = performance.now()
    await run()
    times.push(performance.now() - began)
  }
  const cpuMs = mainThreadMs() - before
  times.sort((a, b) => a - b)
  const us = (ms) => Math.round(ms * 1000)
  return {
    p50Us: us(times[Math.floor(times.length / 2)]),
    p99Us: us(times[Math.floor(times.length * 0.99)]),
    mainThreadUs: us(cpuMs / appends),
  }
}

/** Time on a core; where the system does not tell it per thread, time in which the event loop was not idle. */
function mainThreadMs() {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.eventLoopUtilization().active
  }
}

async function keepPoolBusy() {
  const { deflate } = await import('node:zlib')
  const input = Buffer.alloc(256 * 1024, 'holdfast')
  let isOn = true
  const again = () => isOn && deflate(input, again)
  for (let task = 0; task < 8; task += 1) again()
  return () => {
    isOn = false
  }
}

async function measureLog(bytes) {
  const logger = { log() {} }
  const fatal = (reason) => {
    throw new Error(reason)
  }
  const clock = { monotonicMs: () => performance.now(), setTimer: () => () => {} }
  const log = await openNodeLog({ files, segmentBytes: SEGMENT_BYTES, clock, fatal, logger })
  const payload = new Uint8Array(bytes).fill(7)
  let index = (log.recovered.get(1)?.lastIndex ?? 0) + 1
  const run = () =>
    new Promise((resolve) => {
      const hardState = { term: 1, vote: 1, commit: index - 1 }
      const entries = [{ index, term: 1, timestamp: index * 2048, kind: 'commands', payload }]
      index += 1
      log.append(
        [
          { kind: 'hardState', range: 1, hardState },
          { kind: 'entries', range: 1, entries },
        ],
        resolve,
      )
    })
  const result = await timed(run)
  await log.close()
  return result
}
