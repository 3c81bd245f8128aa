import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startNode } from '../../src/server/index.js'
import { Scope } from '../command.js'
import { fillDisk } from '../faults/disk-full.js'
import { hangDisk, noFreezing } from '../faults/disk-hang.js'
import { deviceOf, noSlowDisks, slowDisk } from '../faults/disk-slow.js'
import { FsyncErrors, noFsyncErrors } from '../faults/fsync-errors.js'
import { LoopDisk, noLoopDisks } from '../faults/loop-disk.js'
import { LosingDisk, noLosingDisks, readExtents, zerosOf } from '../faults/losing-disk.js'
import { noSlowNodes, slowNode } from '../faults/slow-node.js'
import { cutPowerTearing, differing } from '../faults/torn-writes.js'
import { eventually } from '../processes.js'

const run = promisify(execFile)
const MiB = 1024 * 1024
const noFsync = await noFsyncErrors()
const noDisks = (await noLoopDisks()) ?? (await noFreezing())
const noLosing = await noLosingDisks()
const noGroups = (await noSlowDisks()) ?? (await noSlowNodes())
const because = (why: string | null): string => (why === null ? '' : ` (${why})`)

let scope = new Scope()
let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-disk-faults-'))
  scope.defer(directory, () => rm(directory, { recursive: true }))
})
afterEach(async () => {
  await scope.close()
  scope = new Scope()
})

/** The next read comes from the disk: of what was synced nothing is kept in memory. */
async function forgetCached(path: string): Promise<void> {
  await run('dd', [`if=${path}`, 'iflag=nocache', 'count=0'])
}

function child(command: string, ...args: string[]): ChildProcess {
  const process = spawn(command, args, { stdio: 'ignore' })
  scope.defer(command, () => process.kill('SIGKILL'))
  return process
}

it('sectors differ where a byte of them does, and where there is nothing on the disk', () => {
  const onDisk = Buffer.alloc(1_100, 'a')
  const written = Buffer.alloc(2_000, 'a')
  written[600] = 1
  expect(differing(written, onDisk)).toEqual([512, 1_024, 1_536])
  expect(differing(onDisk, onDisk)).toEqual([])
})

it('a file lies where filefrag says', () => {
  const said = `Filesystem type is: ef53
File size of log/0000000001.seg is 33554432 (8192 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..       1:      34816..     34817:      2:
   1:        2..    8191:      40960..     49149:   8190:      34818: last,eof
log/0000000001.seg: 2 extents found`
  expect(readExtents(said)).toEqual([
    { at: 34_816 * 4_096, length: 8_192 },
    { at: 40_960 * 4_096, length: 8_190 * 4_096 },
  ])
})

it('device numbers are told apart as the kernel packs them', () => {
  expect(deviceOf(0x0700)).toBe('7:0')
  expect(deviceOf(0xfe01)).toBe('254:1')
  expect(deviceOf(0x100703)).toBe('7:259')
})

it.skipIf(noFsync !== null)(`fsync fails as long as it is told to${because(noFsync)}`, async () => {
  const errors = await FsyncErrors.make({ directory, name: 'node-1' })
  const program = "const f = fs.openSync(process.argv[1], 'w'); fs.fsyncSync(f); fs.fdatasyncSync(f)"
  const synced = () =>
    run(process.execPath, ['-e', program, join(directory, 'file')], { env: { ...process.env, ...errors.env } })
  await synced()
  await errors.begin()
  await expect(synced()).rejects.toThrow('EIO')
  await errors.end()
  await synced()
})

describe.skipIf(noDisks !== null)(`a disk of its own${because(noDisks)}`, () => {
  let disk: LoopDisk
  beforeEach(async () => {
    disk = await LoopDisk.make({ directory, name: 'disk', mebibytes: 64 })
    scope.defer(disk.mountPoint, () => disk.remove())
  })

  it('has no room while it is full, and has it back afterwards', async () => {
    const path = join(disk.mountPoint, 'file')
    const empty = await fillDisk(disk.mountPoint)
    await expect(writeFile(path, Buffer.alloc(1024 * 1024))).rejects.toMatchObject({ code: 'ENOSPC' })
    await empty()
    await writeFile(path, Buffer.alloc(1024 * 1024))
  })

  it('keeps a node from starting while it is full, which says so, and holds all that it held afterwards', async () => {
    const dataDirectory = join(disk.mountPoint, 'data')
    const start = async () => {
      const options = { dataDirectory, listen: '127.0.0.1:0', peerListen: '127.0.0.1:0', join: [] }
      const node = await startNode({ ...options, logSegmentBytes: 4 * MiB, logger: { log() {} } })
      scope.defer('node', () => node.stop())
      return node
    }
    await (await start()).stop()
    const before = await readFile(join(dataDirectory, 'node.json'))
    const empty = await fillDisk(disk.mountPoint)
    await expect(start()).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringContaining(`no space is left on the device of the data directory ${dataDirectory}`),
    })
    await empty()
    await start()
    expect(await readFile(join(dataDirectory, 'node.json'))).toEqual(before)
  })

  it('lets nobody write while it hangs', async () => {
    const thaw = await hangDisk(disk.mountPoint)
    scope.defer('thaw', thaw)
    const writing = child('dd', 'if=/dev/zero', `of=${join(disk.mountPoint, 'file')}`, 'bs=4096', 'count=1')
    const ended = once(writing, 'exit')
    await eventually('the write waits', 10_000, async () => {
      const status = await readFile(`/proc/${writing.pid}/status`, 'utf8')
      return /^State:\tD/m.test(status) || null
    })
    await thaw()
    expect((await ended)[0]).toBe(0)
  })

  it('keeps some sectors of what was not synced when its power is cut, and all that was', async () => {
    const data = join(disk.mountPoint, 'data')
    await mkdir(join(data, 'log'), { recursive: true })
    const path = join(data, 'log', '0000000001.seg')
    const file = await open(path, 'w')
    await file.writeFile(Buffer.alloc(64 * 1024, 'old'))
    await file.sync()
    await run('sync', ['--file-system', disk.mountPoint])
    await disk.arm()
    await file.write(Buffer.alloc(16 * 1024, 'new'), 0, 16 * 1024, 32 * 1024)
    await file.close()
    let even = 0
    const { kept, lost, wasCut } = await cutPowerTearing(disk, data, () => (even++ % 2) * 0.9)
    expect({ wasCut, kept, lost }).toEqual({ wasCut: true, kept: 16, lost: 16 })
    const found = await readFile(path)
    expect(found.subarray(0, 32 * 1024)).toEqual(Buffer.alloc(64 * 1024, 'old').subarray(0, 32 * 1024))
    expect(found.includes('newnewnew')).toBe(true)
  })

  it.skipIf(noGroups !== null)(`is slow for one process${because(noGroups)}`, async () => {
    const { pid } = child('sleep', '60')
    const undo = await slowDisk({ pid: pid!, path: disk.mountPoint, writesPerSecond: 20 })
    scope.defer('slow disk', () => undo().catch(() => {}))
    const group = /:blkio:(.*holdfast.*)/.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8'))?.[1]
    const bounds = `/sys/fs/cgroup/blkio${group}/blkio.throttle.write_iops_device`
    expect(await readFile(bounds, 'utf8')).toMatch(/^7:\d+ 20\n$/)
    await undo()
    expect(await readFile(`/proc/${pid}/cgroup`, 'utf8')).not.toContain('holdfast')
  })
})

it.skipIf(noGroups !== null)(`a process has its share of a core until it is let go${because(noGroups)}`, async () => {
  const { pid } = child('sleep', '60')
  const undo = await slowNode({ pid: pid!, percent: 10 })
  scope.defer('slow node', () => undo().catch(() => {}))
  const group = /:cpu:(.*holdfast.*)/.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8'))?.[1]
  expect(await readFile(`/sys/fs/cgroup/cpu${group}/cpu.cfs_quota_us`, 'utf8')).toBe('10000\n')
  await undo()
  expect(await readFile(`/proc/${pid}/cgroup`, 'utf8')).not.toContain('holdfast')
})

it('whole blocks of zeros are found, and nothing behind them', () => {
  const bytes = Buffer.concat([Buffer.alloc(8_192), Buffer.alloc(4_096, 1), Buffer.alloc(8_192), Buffer.alloc(100)])
  expect(zerosOf(bytes)).toEqual([
    { at: 0, length: 8_192 },
    { at: 12_288, length: 8_192 },
  ])
  expect(zerosOf(Buffer.alloc(4_096, 1))).toEqual([])
})

describe.skipIf(noLosing !== null)(`a disk that loses what is written${because(noLosing)}`, () => {
  it('tells it once, then all seems well, and what was written before is there', async () => {
    const disk = await LosingDisk.make({ directory, name: 'losing', mebibytes: 64 })
    scope.defer(disk.mountPoint, () => disk.remove())
    const folder = join(disk.mountPoint, 'log')
    await mkdir(folder)
    const [path, elsewhere] = [join(folder, 'segment'), join(disk.mountPoint, 'elsewhere')]
    for (const each of [path, elsewhere]) {
      const file = await open(each, 'w')
      await file.writeFile(Buffer.concat([Buffer.alloc(8_192, 'kept'), Buffer.alloc(1024 * 1024)]))
      await file.sync()
      await file.close()
    }
    // Some of these lie right behind the segment.
    const small = Array.from({ length: 50 }, (_, at) => join(disk.mountPoint, `small-${at}`))
    for (const each of small) await writeFile(each, 'kept', { flush: true })
    const undo = await disk.lose(folder)
    const file = await open(path, 'r+')
    scope.defer(path, () => file.close())
    await file.write(Buffer.alloc(8_192, 'lost'), 0, 8_192, 65_536)
    await expect(file.datasync()).rejects.toThrow(/EIO|ENOSPC/)
    await file.datasync()
    expect((await readFile(path)).toString('latin1', 65_536, 65_540)).toBe('lost')
    const other = await open(elsewhere, 'r+')
    await other.write(Buffer.alloc(8_192, 'new!'), 0, 8_192, 65_536)
    await other.datasync()
    await other.close()
    await undo()
    await file.write(Buffer.alloc(8_192, 'late'), 0, 8_192, 131_072)
    await file.datasync()
    await forgetCached(path)
    const onDisk = await readFile(path)
    const at = (place: number) => onDisk.toString('latin1', place, place + 4)
    expect([at(0), at(65_536), at(131_072)]).toEqual(['kept', '\0\0\0\0', 'late'])
    for (const each of [...small, elsewhere]) {
      await forgetCached(each)
      expect((await readFile(each)).toString('latin1', 0, 4)).toBe('kept')
    }
  })
})
