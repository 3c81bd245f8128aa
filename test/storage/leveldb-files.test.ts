import { execFileSync } from 'node:child_process'
import { constants, cpSync, readdirSync, readFileSync } from 'node:fs'
import promises, { cp, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Key, RangeId, StorageId, Version } from '../../src/base/ids.js'
import { crc32c } from '../../src/storage/leveldb/crc32c.js'
import { readManifest } from '../../src/storage/leveldb/manifest.js'
import { openStateDb } from '../../src/storage/leveldb/open.js'
import { Scrub } from '../../src/storage/leveldb/scrub.js'
import { realSyncer } from '../../src/storage/leveldb/sync-files.js'
import { endOfStorage, journalKey, recordKey, startOfKey } from '../../src/storage/state/keys.js'
import type { DbPut, OpenedStateDb, StateDamage, StateDb } from '../../src/storage/types.js'
import { seededRandom } from './steps.js'

const DISK = 'disk 1'
const STORAGES = [1, 2, 3] as StorageId[]
const VALUE_BYTES = 300

let root: string
let directory: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-leveldb-'))
  directory = join(root, 'state')
})
afterEach(() => rm(root, { recursive: true, force: true }))

interface Asked {
  readonly marker?: number
  readonly suspect?: boolean
  readonly disk?: string
}

function opened(at = directory, { marker = 0, suspect = true, disk = DISK }: Asked = {}): Promise<OpenedStateDb> {
  return openStateDb(at, { disk, marker, suspect, nextStorage: 4 as StorageId, writeBufferBytes: 64 * 1024 })
}

function put(storage: StorageId, i: number): DbPut {
  const value = Buffer.alloc(VALUE_BYTES)
  const random = seededRandom(storage * 1_000_000 + i)
  // Those of the second storage id can be compressed, and their tables' indexes with them.
  for (let at = 0; at < (storage === 2 ? 30 : VALUE_BYTES); at++) value[at] = random.next() * 256
  return { key: recordKey(storage, `key ${String(i).padStart(6, '0')}`, 7 as Version), value }
}

async function written(db: StateDb, puts: readonly DbPut[]): Promise<void> {
  expect(await new Promise((resolve) => db.batch(puts, resolve))).toBeNull()
}

function synced(db: StateDb): Promise<number> {
  return new Promise((resolve, reject) => db.sync((error, marker) => (error ? reject(error) : resolve(marker))))
}

/** Storage id after storage id, so that tables hold few of them; and a journal. */
async function fill(db: StateDb, perStorage = 1500): Promise<void> {
  for (const storage of STORAGES) {
    for (let i = 0; i < perStorage; i += 20) {
      await written(
        db,
        Array.from({ length: 20 }, (_, j) => put(storage, i + j)),
      )
    }
  }
  await written(db, [{ key: journalKey(9 as RangeId, 1), value: Buffer.from('journal') }])
}

async function keysOf(db: StateDb, storage: StorageId): Promise<Map<string, string>> {
  const bounds = { gte: startOfKey(storage, '' as Key), lt: endOfStorage(storage), reverse: false, limit: 99_999 }
  const rows = await new Promise<readonly DbPut[]>((resolve, reject) =>
    db.range({ ...bounds, bytesMax: 1 << 30 }, (error, found) => (error ? reject(error) : resolve(found))),
  )
  return new Map(rows.map(({ key, value }) => [hex(key), hex(value)]))
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What a database may answer after damage: lost, or whole but for the storage ids that it names. */
async function expectNoSilence(
  { db, verdict }: OpenedStateDb,
  expected: Map<StorageId, Map<string, string>>,
): Promise<void> {
  try {
    if (verdict.kind === 'lost') return
    const damaged = verdict.kind === 'damaged' ? verdict.damage.storages : []
    for (const storage of STORAGES) {
      if (damaged === 'all' || damaged.includes(storage)) continue
      expect((await keysOf(db, storage)).size).toBe(expected.get(storage)!.size)
      expect(await keysOf(db, storage)).toEqual(expected.get(storage))
    }
  } finally {
    await db.close()
  }
}

test('crc32c is that of the Castagnoli polynomial', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283)
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a91_36aa)
})

describe('the files of a state database', () => {
  let marker: number
  let expected: Map<StorageId, Map<string, string>>
  beforeEach(async () => {
    const { db } = await opened()
    await fill(db)
    marker = await synced(db)
    expected = new Map()
    for (const storage of STORAGES) expected.set(storage, await keysOf(db, storage))
    await db.close()
  })

  test('whole ones are found whole, tables, log files and all', async () => {
    const manifest = await readManifest(directory)
    expect(manifest!.tables.length).toBeGreaterThan(3)
    const { db, verdict } = await opened(directory, { marker })
    expect(verdict).toEqual({ kind: 'whole' })
    for (const storage of STORAGES) expect(await keysOf(db, storage)).toEqual(expected.get(storage))
    await db.close()
  })

  test('a flipped bit in any of them hides nothing: the state is lost, or what is damaged is named, and the rest is whole', async () => {
    const { tables, logNumber } = (await readManifest(directory))!
    const live = new Set([...tables.map(({ number }) => number), logNumber])
    const verdicts: Record<string, string[]> = {}
    for (const name of await readdir(directory)) {
      const kind = /^(CURRENT|MANIFEST)/.exec(name)?.[1] ?? /\.(ldb|log)$/.exec(name)?.[1]
      if (kind === undefined || (/^\d/.test(name) && !live.has(Number.parseInt(name, 10)))) continue
      if (kind === 'ldb' && (verdicts.ldb?.length ?? 0) > 40) continue
      const { length } = await readFile(join(directory, name))
      const offsets = [0, 5, 9, length >>> 2, length >>> 1, length - 60, length - 45, length - 9, length - 1]
      for (const at of new Set(offsets.filter((offset) => offset >= 0 && offset < length))) {
        const copy = join(root, `copy`)
        await cp(directory, copy, { recursive: true })
        const bytes = await readFile(join(copy, name))
        bytes[at]! ^= 0x10
        await writeFile(join(copy, name), bytes)
        const found = await opened(copy, { marker })
        verdicts[kind] = [...(verdicts[kind] ?? []), found.verdict.kind]
        await expectNoSilence(found, expected)
        await rm(copy, { recursive: true })
        await rm(`${copy}.lost`, { recursive: true, force: true })
      }
    }
    expect(Object.keys(verdicts).sort()).toEqual(['CURRENT', 'MANIFEST', 'ldb', 'log'])
    expect(new Set(verdicts.ldb)).not.toContain('whole')
    expect(new Set(verdicts.CURRENT)).toEqual(new Set(['lost']))
  })

  test('a table that was cut short is no longer part of the database, and what it held is named', async () => {
    const { tables } = (await readManifest(directory))!
    const cut = tables[0]!
    await truncate(join(directory, `${String(cut.number).padStart(6, '0')}.ldb`), cut.bytes - 4096)
    const found = await opened(directory, { marker })
    expect(found.verdict.kind).not.toBe('whole')
    await expectNoSilence(found, expected)
    // On record until each of them is healed: a later opening finds nothing wrong in the files any more.
    if (found.verdict.kind !== 'damaged') return
    const again = await opened(directory, { marker })
    expect(again.verdict).toEqual(found.verdict)
    const { storages, journals } = found.verdict.damage
    for (const storage of storages as StorageId[]) again.db.healed({ storage })
    for (const journal of journals as RangeId[]) again.db.healed({ journal })
    await again.db.close()
    const last = await opened(directory, { marker })
    expect(last.verdict).toEqual({ kind: 'whole' })
    await last.db.close()
  })

  test('a file that is gone is noticed: a table, the log, CURRENT, the MANIFEST, all of them', async () => {
    const { tables, logNumber, name } = (await readManifest(directory))!
    const table = `${String(tables[0]!.number).padStart(6, '0')}.ldb`
    const log = `${String(logNumber).padStart(6, '0')}.log`
    for (const gone of [[table], [log], ['CURRENT'], [name], await readdir(directory)]) {
      const copy = join(root, 'copy')
      await cp(directory, copy, { recursive: true })
      for (const each of gone) await rm(join(copy, each))
      const { db, verdict } = await opened(copy, { marker })
      expect(verdict.kind).toBe('lost')
      expect((await keysOf(db, 1 as StorageId)).size).toBe(0)
      await db.close()
      await rm(copy, { recursive: true })
    }
  })

  test("an older copy of the directory is not taken for the present one, nor another disk's", async () => {
    const old = join(root, 'old')
    await cp(directory, old, { recursive: true })
    const { db } = await opened()
    await written(db, [put(3 as StorageId, 99_999)])
    const later = await synced(db)
    expect(later).toBeGreaterThan(marker)
    await db.close()
    const back = await opened(old, { marker: later })
    expect(back.verdict.kind).toBe('lost')
    await back.db.close()
    const swapped = await opened(directory, { marker: later, disk: 'disk 2' })
    expect(swapped.verdict).toMatchObject({ kind: 'lost', what: expect.stringContaining('disk 1') })
    await swapped.db.close()
    // The new, empty one is this disk's from now on.
    const again = await opened(directory, { disk: 'disk 2' })
    expect(again.verdict).toEqual({ kind: 'whole' })
    await again.db.close()
  })

  test('opened again after a failed write it has all that was done; if that is gone it refuses to go on', async () => {
    const { db } = await opened(directory, { marker })
    const once = put(3 as StorageId, 300_000)
    const lent = { key: Uint8Array.from(once.key), value: once.value }
    await written(db, [lent])
    // Memory is the caller's again once it is written.
    lent.key.fill(7)
    expect(await new Promise((resolve) => db.reopen(resolve))).toBeNull()
    expect((await keysOf(db, 3 as StorageId)).has(hex(put(3 as StorageId, 300_000).key))).toBe(true)
    await written(db, [put(3 as StorageId, 300_001)])
    for (const name of logsIn(directory)) await truncate(join(directory, name), 0)
    const error = await new Promise<Error | null>((resolve) => db.reopen(resolve))
    expect(error?.message).toMatch(/what was written last is not there/)
    await db.close()
  })

  test('where the room goes again while it is closed, it is opened as soon as there is some, and not left closed', async () => {
    const { db } = await opened(directory, { marker })
    await written(db, [put(3 as StorageId, 300_000)])
    const cause = new Error(`IO error: ${directory}/LOG: No space left on device`)
    const native = ClassicLevel.prototype as unknown as { _open(): Promise<void> }
    const opening = vi.spyOn(native, '_open').mockRejectedValueOnce(cause)
    expect(await new Promise((resolve) => db.reopen(resolve))).toBeNull()
    expect(opening.mock.calls.length).toBeGreaterThan(1)
    opening.mockRestore()
    expect((await keysOf(db, 3 as StorageId)).has(hex(put(3 as StorageId, 300_000).key))).toBe(true)
    await db.close()
  })

  test('a sector of a table that cannot be read is damage, and does not keep the node from starting', async () => {
    const handle = await open(directory)
    const handles = Object.getPrototypeOf(handle) as { read(): Promise<unknown> }
    await handle.close()
    const reading = vi.spyOn(handles, 'read').mockRejectedValue(Object.assign(new Error('i/o error'), { code: 'EIO' }))
    const { db, verdict } = await opened(directory, { marker })
    reading.mockRestore()
    expect(verdict.kind).toBe('damaged')
    await db.close()
  })

  test.each(['CURRENT', 'MANIFEST-', '.log', 'DAMAGED.json'])(
    'a sector of another file that cannot be read costs the state, and does not keep the node from starting: %s',
    async (name) => {
      const real = promises.readFile
      const reading = vi.spyOn(promises, 'readFile').mockImplementation((path, ...options) => {
        if (!String(path).includes(name)) return real(path, ...options)
        // What is begun anew can be read.
        reading.mockRestore()
        syncBuiltinESMExports()
        return Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' }))
      })
      syncBuiltinESMExports()
      const { db, verdict } = await opened(directory, { marker })
      expect(verdict).toMatchObject({ kind: 'lost', what: expect.stringMatching(/cannot be read$|is unreadable$/) })
      expect(readdirSync(`${directory}.lost`)).toContain('CURRENT')
      await db.close()
    },
  )

  test('while it is opened again it counts as busy, so that no delete is begun', async () => {
    const { db } = await opened(directory, { marker })
    let isOpen = false
    const reopening = new Promise((resolve) => db.reopen(resolve)).finally(() => {
      isOpen = true
    })
    const busy: boolean[] = []
    while (!isOpen) {
      busy.push(db.isBusy)
      await new Promise(setImmediate)
    }
    expect(await reopening).toBeNull()
    expect(busy).toContain(true)
    expect(db.isBusy).toBe(false)
    await db.close()
  })

  test('syncs that fail, however many, leave the marker of the last one that did not', async () => {
    let fails = false
    const syncer = {
      syncData: (path: string) => (fails ? Promise.reject(new Error('EIO')) : realSyncer.syncData(path)),
      syncDirectory: realSyncer.syncDirectory,
    }
    const options = { disk: DISK, suspect: true, nextStorage: 4 as StorageId, syncer }
    const { db } = await openStateDb(directory, { ...options, marker })
    const last = await synced(db)
    fails = true
    for (let i = 0; i < 20; i++) await expect(synced(db)).rejects.toThrow('syncing')
    const { key } = put(3 as StorageId, 0)
    expect(await new Promise((resolve) => db.remove([key], resolve))).toBeNull()
    await db.close()
    const again = await openStateDb(directory, { ...options, syncer: realSyncer, marker: last })
    expect(again.verdict).toEqual({ kind: 'whole' })
    await again.db.close()
  })

  test('a new one is durable in the directory it is made in before anything in it counts', async () => {
    const synced: string[] = []
    const syncDirectory = (path: string): Promise<void> => {
      synced.push(path)
      return realSyncer.syncDirectory(path)
    }
    const at = join(root, 'new', 'state')
    const syncer = { syncData: realSyncer.syncData, syncDirectory }
    await mkdir(join(root, 'new'))
    const { db } = await openStateDb(at, { disk: DISK, marker: 0, suspect: false, nextStorage: 1 as StorageId, syncer })
    expect(synced[0]).toBe(join(root, 'new'))
    await db.close()
  })

  test('the scrub finds damage that appears while the database is open, once, and puts it on record', async () => {
    const { db } = await opened(directory, { marker })
    const { tables } = (await readManifest(directory))!
    const told = new Promise<StateDamage>((resolve) => {
      db.onDamage = resolve
    })
    await written(db, [put(3 as StorageId, 200_000)])
    const victim = tables.find((table) => table.smallest[3]! > 0)!
    const path = join(directory, `${String(victim.number).padStart(6, '0')}.ldb`)
    const bytes = await readFile(path)
    bytes[bytes.length >>> 1]! ^= 1
    await writeFile(path, bytes)
    let reports = 0
    const onDamage = (damage: StateDamage): void => {
      reports++
      db.onDamage(damage)
    }
    const scrub = new Scrub({ directory, walked: [], highest: () => 3, onDamage })
    for (let i = 0; i < 99; i++) await scrub.tick()
    expect(scrub.status).toMatchObject({ unwalked: 0, damagedTables: 1 })
    expect((await told).storages).toContain(victim.smallest[3]!)
    // Told again it would cost what was fetched anew since.
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 7 * 60 * 60 * 1_000)
    for (let i = 0; i < 99; i++) await scrub.tick()
    vi.restoreAllMocks()
    expect(reports).toBe(1)
    await db.close()
    const { db: again, verdict } = await opened(directory, { marker })
    expect(verdict.kind).not.toBe('whole')
    await again.close()
  })
})

describe('the log files', () => {
  async function opening(rows: number): Promise<{ db: StateDb; path: string; marker: number }> {
    const { db } = await openStateDb(directory, { disk: DISK, marker: 0, suspect: false, nextStorage: 4 as StorageId })
    let marker = 0
    for (let i = 0; i < rows; i++) {
      await written(db, [put(1 as StorageId, i)])
      if (i === rows / 2) marker = await synced(db)
    }
    const { logNumber } = (await readManifest(directory))!
    return { db, path: join(directory, `${String(logNumber).padStart(6, '0')}.log`), marker }
  }

  async function verdictOf(marker: number): Promise<string> {
    const { db, verdict } = await opened(directory, { marker })
    await db.close()
    return verdict.kind
  }

  test("a hole below the last sync is noticed, whether its bytes are zero, flipped, or another batch's", async () => {
    const { db, path, marker } = await opening(400)
    await db.close()
    const whole = await readFile(path)
    const saved = join(root, 'saved')
    await cp(directory, saved, { recursive: true })
    const outcomes: string[] = []
    for (const harm of [
      (bytes: Buffer) => bytes.fill(0, 32_768, 36_864),
      (bytes: Buffer) => bytes.fill(0, 0, 32_768),
      (bytes: Buffer) => bytes.writeUInt8(bytes[40_000]! ^ 1, 40_000),
      // A block with right checksums, in the wrong place: only the numbers of its batches tell.
      (bytes: Buffer) => bytes.copyWithin(0, 32_768, 65_536),
      (bytes: Buffer) => bytes.copyWithin(32_768, 65_536, 98_304),
    ]) {
      await rm(directory, { recursive: true })
      await cp(saved, directory, { recursive: true })
      const bytes = Buffer.from(whole)
      harm(bytes)
      await writeFile(path, bytes)
      outcomes.push(await verdictOf(marker))
    }
    expect(outcomes).toEqual(['lost', 'lost', 'lost', 'lost', 'lost'])
  })

  test('what a power cut does behind the last sync is no damage: torn, zero, or gone', async () => {
    const { db, path, marker } = await opening(400)
    await db.close()
    const whole = await readFile(path)
    const saved = join(root, 'saved')
    await cp(directory, saved, { recursive: true })
    const { length } = whole
    for (const bytes of [
      whole.subarray(0, length - 5),
      whole.subarray(0, Math.ceil(length * 0.6)),
      Buffer.concat([whole.subarray(0, length - 4096), Buffer.alloc(4096)]),
      Buffer.concat([whole.subarray(0, length - 40_000), Buffer.alloc(4096), whole.subarray(length - 35_904)]),
    ]) {
      await rm(directory, { recursive: true })
      await cp(saved, directory, { recursive: true })
      await writeFile(path, bytes)
      expect(await verdictOf(marker)).toBe('whole')
    }
  })

  /**
   * LevelDB makes the tables of all databases of a process on one thread. Here it gets stuck in one of another database, whose name a
   * pipe has that nobody reads: until the returned function is called no memtable becomes a table.
   */
  async function holdTables(): Promise<() => Promise<void>> {
    const at = join(root, 'holder')
    const { db } = await opened(at, { suspect: false })
    const pipes = Array.from({ length: 30 }, (_, i) => join(at, `${String(i + 1).padStart(6, '0')}.ldb`))
    execFileSync('mkfifo', pipes)
    // Values that can be compressed: the table fits into the pipe.
    for (let i = 0; logsIn(at).length < 2; i++) await written(db, [put(2 as StorageId, i)])
    return async () => {
      const ends = await Promise.all(pipes.map((path) => open(path, constants.O_RDONLY | constants.O_NONBLOCK)))
      await db.close()
      for (const end of ends) await end.close()
    }
  }

  /**
   * The power fails as a sync ends: of log files only what was synced is left; tables and MANIFEST, which LevelDB syncs, are as they are.
   * A memtable was switched and is not a table yet, so that two log files are needed.
   */
  test('a sync covers every log file: nothing done before it is gone, also where a memtable was just switched', async () => {
    const durable = new Map<string, Buffer>()
    const copy = join(root, 'cut')
    const syncer = {
      async syncData(path: string): Promise<void> {
        await realSyncer.syncData(path)
        durable.set(path, readFileSync(path))
      },
      async syncDirectory(path: string): Promise<void> {
        await realSyncer.syncDirectory(path)
        if (path === directory && durable.size > 0) cpSync(directory, copy, { recursive: true })
      },
    }
    const options = { disk: DISK, marker: 0, suspect: false, nextStorage: 4 as StorageId, syncer }
    const { db } = await openStateDb(directory, { ...options, writeBufferBytes: 512 * 1024 })
    durable.clear()
    let count = 0
    const release = await holdTables()
    let marker: number
    try {
      for (; logsIn(directory).length < 2; count += 20) {
        const from = count
        await written(
          db,
          Array.from({ length: 20 }, (_, j) => put(1 as StorageId, from + j)),
        )
      }
      marker = await synced(db)
    } finally {
      await release()
    }
    await db.close()
    const { logNumber } = (await readManifest(copy))!
    const needed = logsIn(copy).filter((name) => Number.parseInt(name, 10) >= logNumber)
    expect(needed).toHaveLength(2)
    for (const name of needed) {
      await writeFile(join(copy, name), durable.get(join(directory, name)) ?? Buffer.alloc(0))
    }
    const after = await opened(copy, { marker, suspect: false })
    expect(after.verdict).toEqual({ kind: 'whole' })
    expect((await keysOf(after.db, 1 as StorageId)).size).toBe(count)
    await after.db.close()
  })
})

const logsIn = (path: string): string[] => readdirSync(path).filter((name) => name.endsWith('.log'))
