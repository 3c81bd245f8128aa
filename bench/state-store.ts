// Prints what the state store and LevelDB under it cost here.
// node dist/bench/state-store.js [--db]     --db: only the table of LevelDB settings
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { Key, RangeId, StorageId, Version } from '../src/base/ids.js'
import { silentLogger } from '../src/base/ports.js'
import { realClock } from '../src/server/real-ports.js'
import { openStateDb } from '../src/storage/leveldb/open.js'
import { openStateStore } from '../src/storage/state/state-store.js'
import type { StateBatch, StateStore } from '../src/storage/types.js'

const ENTRIES = 3000
const COMMANDS = 100
const KEYS = 200_000
const storage = 1 as StorageId
const MiB = 1024 * 1024

let noise = 1
function below(bound: number): number {
  noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) >>> 0
  return noise % bound
}

const keyOf = (i: number): Key => `\0\0\0\x10key-${String(i).padStart(12, '0')}` as Key
const hotKeys = [0, 1, 2, 3].map(keyOf)
const us = (): number => Number(process.hrtime.bigint()) / 1000
/** Half of it compresses. */
const value = Buffer.from(Array.from({ length: 256 }, (_, i) => (i % 2 === 0 ? below(256) : 65)))

function batchOf(entry: number): StateBatch {
  const records = Array.from({ length: COMMANDS }, (_, i) => ({
    storage,
    record: {
      key: keyOf(below(KEYS)),
      version: (3e15 + entry * COMMANDS + i) as Version,
      codec: 'bytes' as const,
      value,
    },
  }))
  const timestamp = records.at(-1)!.record.version
  const changes = records.map(({ record }) => ({ key: record.key, version: record.version }))
  return { records, journals: [{ range: 2 as RangeId, record: { timestamp, outcomes: [], changes } }] }
}

async function inDirectory(action: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-bench-'))
  try {
    await action(path)
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

async function stateStore(path: string): Promise<void> {
  const { db } = await openStateDb(path, { disk: 'bench', marker: 0, suspect: false, nextStorage: 100 as StorageId })
  const store = openStateStore({
    db,
    cacheBytes: 64 * MiB,
    cacheValueBytesMax: 2048,
    clock: realClock,
    onDamage: ({ what }) => console.error(what),
    logger: silentLogger,
    fatal: (reason) => {
      throw new Error(reason)
    },
  })
  const batches = Array.from({ length: ENTRIES }, (_, entry) => batchOf(entry))
  const [from, cpu] = [us(), process.cpuUsage()]
  const writing: number[] = []
  for (const batch of batches) {
    const start = us()
    store.write(batch, 0)
    writing.push(us() - start)
    if (store.overlayBytes > 8 * MiB) await new Promise<void>((resolve) => drained(store, resolve))
  }
  await new Promise<void>((resolve) => store.sync(resolve))
  const used = process.cpuUsage(cpu)
  const count = ENTRIES * COMMANDS
  const rows: Record<string, number> = {
    'write(), median, per record': median(writing) / COMMANDS,
    'write to LevelDB, wall, per record': (us() - from) / count,
    'write to LevelDB, all threads, per record': (used.user + used.system) / count,
  }
  rows['peek of a cached 256 B value'] = timed(
    200_000,
    () => store.peek({ storage, key: keyOf(KEYS - 1 - below(4)) }),
    store,
  )
  for (const count of [1, 16, 64]) rows[`fetch, ${count} at once, per key`] = await fetches(store, count)
  const syncs: number[] = []
  for (let i = 0; i < 20; i++) {
    const start = us()
    await new Promise<void>((resolve) => store.sync(resolve))
    syncs.push(us() - start)
  }
  rows['sync with nothing new'] = median(syncs)
  const scanFrom = us()
  const span = { start: keyOf(0), end: null }
  const page = { storage, span, at: 4e15 as Version, reverse: false, limit: 1000, bytesMax: MiB, keysOnly: false }
  await new Promise<void>((resolve) => store.scan(page, () => resolve()))
  rows['scan of 1,000 rows, per row'] = (us() - scanFrom) / 1000
  console.table(Object.fromEntries(Object.entries(rows).map(([name, cost]) => [name, { us: Number(cost.toFixed(2)) }])))
  await store.close()
}

function drained(store: StateStore, resolve: () => void): void {
  if (store.overlayBytes < 4 * MiB) resolve()
  else setImmediate(() => drained(store, resolve))
}

function timed(count: number, action: (i: number) => unknown, store: StateStore): number {
  for (let i = 0; i < 4; i++) {
    const record = { key: hotKeys[i]!, version: (4e15 + i) as Version, codec: 'bytes' as const, value }
    store.write({ records: [{ storage, record }], journals: [] }, 0)
  }
  // Short rounds: most of them fit between two switches to other processes.
  const rounds: number[] = []
  for (let done = 0; done < count; done += 100) {
    const start = us()
    for (let i = 0; i < 100; i++) action(i)
    rounds.push((us() - start) / 100)
  }
  return median(rounds)
}

/** Not the mean: other processes share the cores. */
function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >>> 1]!
}

async function fetches(store: StateStore, count: number): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < 4000 / count; round++) {
    const start = us()
    const lookups = Array.from({ length: count }, () => ({ storage, key: keyOf(below(KEYS)), upTo: 4e15 as Version }))
    await new Promise((resolve) => store.fetch(lookups, resolve))
    rounds.push((us() - start) / count)
  }
  return median(rounds)
}

/** Puts of 300 bytes in batches of 1,000, random keys, under one setting. */
async function setting(path: string, options: Record<string, unknown>): Promise<Record<string, number>> {
  const db = new ClassicLevel<Uint8Array, Uint8Array>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    ...options,
  })
  await db.open()
  const count = 400_000
  const [from, cpu] = [us(), process.cpuUsage()]
  for (let i = 0; i < count; i += 1000) {
    const batch = db.batch()
    for (let j = 0; j < 1000; j++) {
      const key = Buffer.alloc(40)
      key.write(keyOf(below(KEYS)), 4, 'latin1')
      key.writeUInt32BE(i + j, 33)
      batch.put(key, value)
    }
    await batch.write()
  }
  const used = process.cpuUsage(cpu)
  await db.close()
  return {
    'wall us/put': Number(((us() - from) / count).toFixed(2)),
    'cpu us/put': Number(((used.user + used.system) / count).toFixed(2)),
  }
}

async function settings(): Promise<void> {
  const table: Record<string, Record<string, number>> = {}
  for (const compression of [true, false]) {
    for (const [buffer, tables] of [
      [4, 2],
      [16, 2],
      [16, 8],
      [32, 8],
    ] as const) {
      const options = { compression, writeBufferSize: buffer * MiB, maxFileSize: tables * MiB }
      await inDirectory(async (path) => {
        table[`${compression ? 'snappy' : 'plain'}, buffer ${buffer} MiB, tables ${tables} MiB`] = await setting(
          path,
          options,
        )
      })
    }
  }
  console.table(table)
}

if (process.argv.includes('--db')) await settings()
else await inDirectory(stateStore)
