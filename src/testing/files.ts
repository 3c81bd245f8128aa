import { assert } from '../base/assert.js'
import { type Random, randomBelow } from '../base/ports.js'
import type { Files, LogFile } from '../storage/types.js'

const SECTOR_BYTES = 512
/** What a disk with sectors of 4 KiB loses at once. */
const BLOCK_BYTES = 4096
const zeros = new Uint8Array(SECTOR_BYTES)
/** A fresh one each: what waits for one that is shared would be kept by it for ever. */
const never = (): Promise<never> => new Promise(() => {})

export interface MemoryFilesOptions {
  /** Decides what a power cut leaves of unsynced writes. */
  readonly random: Random
  /** Calls `action` after `latencyMs`. What was scheduled before a crash may still be called: it does nothing then. */
  readonly schedule: (latencyMs: number, action: () => void) => void
  /** Time of one sync; default 0.2 ms. */
  readonly syncLatencyMs?: () => number
  /** Called by what is answered at once, without `schedule`: whoever waits for it is to go on in no time. */
  readonly atOnce?: () => void
}

/** Sectors that something was written to, and what the disk still has there; null: zeros, they were never written before. */
interface Extent {
  readonly first: number
  readonly end: number
  readonly before: Uint8Array | null
}

/** One file: what a reader sees now, and what the disk still has of what is not synced, in the order written. */
interface Inode {
  bytes: Uint8Array
  /** From this sector on it is zeros. */
  zerosFrom: number
  unsynced: Extent[]
  /** By sector; the system holds these for clean: a later sync does not write them. */
  readonly lost: Map<number, Uint8Array>
  /** Blocks that cannot be read until they are written whole, by number. */
  readonly unreadable: Set<number>
}

/**
 * A data directory in memory, with a disk's bad habits: what was not synced may be gone, in part and in any order of
 * sectors, after `crash`; a directory entry too. Handles and pending calls of before a crash are dead: they change
 * nothing and are never answered. A process that may be cut off at any point should work through `mount()`.
 */
export class MemoryFiles implements Files {
  readonly #options: MemoryFilesOptions
  #inodes = new Map<string, Inode>()
  /** As the disk knows it: differs from #inodes where the directory was not synced. */
  #durable = new Map<string, Inode>()
  #life = 1
  /**
   * When set, every sync of a log file fails so. What was written is then seen, and lost when the power fails, unless it
   * is written again (Rebello et al., ATC 2020).
   */
  failure: Error | null = null

  /** As `failure`, for syncs of what was written alone: no new file is made to fail. */
  syncFailure: Error | null = null

  /** While set there is no room: no log file can be made, and those that are there can be written. */
  isFull = false

  constructor(options: MemoryFilesOptions) {
    this.#options = options
  }

  /** These files for one life of a process: after `kill` or `crash` its calls change nothing and are never answered. */
  mount(): Files {
    const { isAlive } = this.#handle()
    const alive = async <T>(call: () => Promise<T>): Promise<T> => {
      const result = isAlive() ? await call() : await never()
      return isAlive() ? result : await never()
    }
    return {
      list: (directory) => alive(() => this.list(directory)),
      makeDirectory: (directory) => alive(() => this.makeDirectory(directory)),
      createLogFile: (path, size) => alive(() => this.createLogFile(path, size)),
      openLogFile: (path) => alive(() => this.openLogFile(path)),
      read: (path) => alive(() => this.read(path)),
      replace: (path, bytes) => alive(() => this.replace(path, bytes)),
      remove: (path) => alive(() => this.remove(path)),
      syncDirectory: (directory) => alive(() => this.syncDirectory(directory)),
    }
  }

  /** A log file is being written, or was and is not synced. */
  get isWriting(): boolean {
    for (const { unsynced } of this.#inodes.values()) if (unsynced.length > 0) return true
    return false
  }

  /** The power fails: of what was not synced, a random part of the 512-byte sectors is kept; `torn`: the first so many of each file. */
  crash({ torn = false } = {}): void {
    this.kill()
    const pick = torn ? null : this.#pickSectors()
    this.#inodes = new Map(this.#durable)
    for (const inode of this.#inodes.values()) {
      const sectors = sectorsOf(inode.unsynced)
      const keep = pick ?? firstOf(randomBelow(this.#options.random, sectors.size + 1))
      for (const [sector, before] of sectors) if (!keep()) restore(inode, sector, before)
      for (const [sector, before] of inode.lost) restore(inode, sector, before)
      inode.unsynced = []
      inode.lost.clear()
    }
  }

  /** The process dies, the machine goes on: all that was written is still seen, and still not synced. */
  kill(): void {
    this.#life += 1
  }

  /** What stands in `directory`, or in the file of that name, is gone, durably. Returns whether there was anything. */
  drop(directory: string): boolean {
    const paths = this.paths().filter((path) => path === directory || path.startsWith(`${directory}/`))
    for (const path of paths) {
      this.#inodes.delete(path)
      this.#durable.delete(path)
    }
    return paths.length > 0
  }

  /** What is durable now, as files of their own. */
  copy(): MemoryFiles {
    const copy = new MemoryFiles(this.#options)
    for (const [path, { bytes }] of this.#durable) copy.put(path, bytes)
    return copy
  }

  /** A small file as it would be read after a power loss; null: there would be none. */
  durable(path: string): Uint8Array | null {
    return this.#durable.get(path)?.bytes ?? null
  }

  /** Two disks that nobody uses change one directory. All of it must be durable. */
  swap(other: MemoryFiles, directory: string): void {
    const [own, theirs] = [this.#taken(directory), other.#taken(directory)]
    for (const [path, bytes] of theirs) this.put(path, bytes)
    for (const [path, bytes] of own) other.put(path, bytes)
  }

  #taken(directory: string): (readonly [string, Uint8Array])[] {
    const paths = this.paths().filter((path) => path.startsWith(`${directory}/`))
    const taken = paths.map((path) => [path, this.contents(path)] as const)
    this.drop(directory)
    return taken
  }

  /** For tests: a file's bytes as a reader sees them now; writing to it is damage. */
  contents(path: string): Uint8Array {
    const inode = this.#inodes.get(path)
    assert(inode !== undefined, 'no such file', path)
    return inode.bytes
  }

  /** The block of a file around `at` cannot be read any more. */
  makeUnreadable(path: string, at: number): void {
    const inode = this.#inodes.get(path)
    assert(inode !== undefined, 'no such file', path)
    inode.unreadable.add(Math.floor(at / BLOCK_BYTES))
  }

  /** For tests: puts a file there as if it had been synced long ago. */
  put(path: string, bytes: Uint8Array): void {
    this.#add(path, new Uint8Array(bytes), bytes.length)
  }

  #add(path: string, bytes: Uint8Array, writtenBytes: number): void {
    const inode: Inode = {
      bytes,
      zerosFrom: sectorsIn(writtenBytes),
      unsynced: [],
      lost: new Map(),
      unreadable: new Set(),
    }
    this.#inodes.set(path, inode)
    this.#durable.set(path, inode)
  }

  paths(): string[] {
    return [...this.#inodes.keys()].sort()
  }

  async list(directory: string): Promise<string[]> {
    this.#atOnce()
    const prefix = `${directory}/`
    return this.paths()
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length))
  }

  async makeDirectory(_directory: string): Promise<void> {
    this.#atOnce()
  }

  async createLogFile(path: string, size: number): Promise<LogFile> {
    await this.#later(this.#syncLatencyMs())
    if (this.failure !== null) throw this.failure
    if (this.isFull) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    this.#add(path, new Uint8Array(size), 0)
    return this.openLogFile(path)
  }

  async openLogFile(path: string): Promise<LogFile> {
    this.#atOnce()
    const inode = this.#inodes.get(path)
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' })
    return new MemoryLogFile(inode, this.#handle())
  }

  async read(path: string): Promise<Uint8Array | null> {
    this.#atOnce()
    const inode = this.#inodes.get(path)
    return inode === undefined ? null : new Uint8Array(inode.bytes)
  }

  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const copy = new Uint8Array(bytes)
    await this.#later(this.#syncLatencyMs())
    this.#add(path, copy, copy.length)
  }

  async remove(path: string): Promise<void> {
    this.#atOnce()
    this.#inodes.delete(path)
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#later(this.#syncLatencyMs())
    for (const path of this.#durable.keys()) {
      if (path.startsWith(`${directory}/`) && !this.#inodes.has(path)) this.#durable.delete(path)
    }
  }

  #atOnce(): void {
    this.#options.atOnce?.()
  }

  /** Resolves later in this life, never in the next one. */
  #later(latencyMs: number): Promise<void> {
    const { schedule } = this.#handle()
    return new Promise((resolve) => schedule(latencyMs, resolve))
  }

  #handle(): Handle {
    const life = this.#life
    return {
      isAlive: () => this.#life === life,
      failure: () => this.failure ?? this.syncFailure,
      syncLatencyMs: () => this.#syncLatencyMs(),
      atOnce: () => this.#atOnce(),
      schedule: (latencyMs, action) => {
        this.#options.schedule(latencyMs, () => {
          if (this.#life === life) action()
        })
      },
    }
  }

  #syncLatencyMs(): number {
    return this.#options.syncLatencyMs?.() ?? 0.2
  }

  /** All, none, or each with its own chance: the extremes are rare among random subsets and worth their own share. */
  #pickSectors(): () => boolean {
    const { random } = this.#options
    const kind = random.next()
    if (kind < 0.2) return () => true
    if (kind < 0.4) return () => false
    const share = random.next()
    return () => random.next() < share
  }
}

interface Handle {
  isAlive(): boolean
  failure(): Error | null
  syncLatencyMs(): number
  atOnce(): void
  schedule(latencyMs: number, action: () => void): void
}

class MemoryLogFile implements LogFile {
  readonly #inode: Inode
  readonly #handle: Handle
  #isWriting = false

  constructor(inode: Inode, handle: Handle) {
    this.#inode = inode
    this.#handle = handle
  }

  get size(): number {
    return this.#inode.bytes.length
  }

  writeAndSync({ bytes, at }: { bytes: Uint8Array; at: number }, done: (error: Error | null) => void): void {
    if (!this.#handle.isAlive()) return
    assert(!this.#isWriting, 'two writes to one log file at once')
    this.#isWriting = true
    this.#write(bytes, at)
    this.#handle.schedule(this.#handle.syncLatencyMs(), () => {
      this.#isWriting = false
      const failure = this.#handle.failure()
      if (failure !== null) {
        for (const [sector, before] of sectorsOf(this.#inode.unsynced)) this.#inode.lost.set(sector, before)
      }
      this.#inode.unsynced = []
      done(failure)
    })
  }

  readSync({ at, length }: { at: number; length: number }): Uint8Array {
    assert(this.#handle.isAlive(), 'a read through a handle of before the crash')
    for (const block of this.#inode.unreadable) {
      const isRead = block * BLOCK_BYTES < at + length && (block + 1) * BLOCK_BYTES > at
      if (isRead) throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
    }
    return this.#inode.bytes.slice(at, at + length)
  }

  async close(): Promise<void> {
    this.#handle.atOnce()
  }

  #write(bytes: Uint8Array, at: number): void {
    const inode = this.#inode
    this.#grow(at + bytes.length)
    const first = Math.floor(at / SECTOR_BYTES)
    const end = sectorsIn(at + bytes.length)
    // One piece for all sectors: they are told apart only where a crash or a failed sync does.
    const isNew = first >= inode.zerosFrom
    const before = isNew ? null : inode.bytes.slice(first * SECTOR_BYTES, end * SECTOR_BYTES)
    if (before !== null && inode.lost.size > 0) takeLost(inode.lost, first, before)
    inode.unsynced.push({ first, end, before })
    inode.zerosFrom = Math.max(inode.zerosFrom, end)
    inode.bytes.set(bytes, at)
    for (const block of inode.unreadable) {
      const isWhole = at <= block * BLOCK_BYTES && (block + 1) * BLOCK_BYTES <= at + bytes.length
      if (isWhole) inode.unreadable.delete(block)
    }
  }

  #grow(size: number): void {
    if (size <= this.#inode.bytes.length) return
    const bytes = new Uint8Array(size)
    bytes.set(this.#inode.bytes)
    this.#inode.bytes = bytes
  }
}

function sectorsIn(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES)
}

/** True so many times. */
function firstOf(count: number): () => boolean {
  let asked = 0
  return () => asked++ < count
}

/** The file's last sector may be cut short. */
function restore({ bytes }: Inode, sector: number, before: Uint8Array): void {
  const at = sector * SECTOR_BYTES
  bytes.set(before.subarray(0, bytes.length - at), at)
}

/** What the disk still has, by sector: of several writes to one sector the first knows. */
function sectorsOf(extents: readonly Extent[]): Map<number, Uint8Array> {
  const sectors = new Map<number, Uint8Array>()
  for (const { first, end, before } of extents) {
    for (let sector = first; sector < end; sector += 1) {
      if (sectors.has(sector)) continue
      const at = (sector - first) * SECTOR_BYTES
      sectors.set(sector, before === null ? zeros : before.subarray(at, at + SECTOR_BYTES))
    }
  }
  return sectors
}

/** Lost sectors are written again: the disk has what it had before the sync that lied, and the next sync writes them. */
function takeLost(lost: Map<number, Uint8Array>, first: number, before: Uint8Array): void {
  for (let at = 0; at < before.length; at += SECTOR_BYTES) {
    const sector = first + at / SECTOR_BYTES
    const bytes = lost.get(sector)
    if (bytes === undefined) continue
    before.set(bytes, at)
    lost.delete(sector)
  }
}
