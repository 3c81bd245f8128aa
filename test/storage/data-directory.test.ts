import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDataDirectory } from '../../src/storage/data-directory.js'
import { newIdentity, writeIdentity } from '../../src/storage/identity.js'

let parent: string
let path: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'holdfast-directory-'))
  path = join(parent, 'a', 'node-1')
})

afterEach(() => rm(parent, { recursive: true }))

function refusal(code: string, ...parts: string[]) {
  return expect.objectContaining({
    code,
    message: expect.stringMatching(new RegExp(parts.map((part) => part.replaceAll('.', '\\.')).join('.*'))),
  })
}

describe('a data directory', () => {
  it('is made where there is none, for this user only, and says its format', async () => {
    const directory = await openDataDirectory(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    expect(await readFile(join(path, 'FORMAT'), 'utf8')).toBe('holdfast 1\n')
    expect((await readdir(path)).sort()).toEqual(['FORMAT', 'LOCK'])
    await directory.release()
    expect(await readdir(path)).toEqual(['FORMAT'])
  })

  it('is refused while a live process holds it, this one too, with its id and what to do', async () => {
    const directory = await openDataDirectory(path)
    await expect(openDataDirectory(path)).rejects.toEqual(
      refusal('NOT_PERMITTED', path, `in use by process ${process.pid}:`, 'stop that process'),
    )
    await directory.release()
    await (await openDataDirectory(path)).release()
  })

  it('is taken over from a process that died without letting go', async () => {
    await (await openDataDirectory(path)).release()
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    await writeFile(join(path, 'LOCK'), `${child.pid} some-boot:123\n`)
    const directory = await openDataDirectory(path)
    expect(await readFile(join(path, 'LOCK'), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
    expect((await readdir(path)).sort()).toEqual(['FORMAT', 'LOCK'])
    await directory.release()
  })

  it.runIf(process.platform === 'linux')('is taken over when the id now belongs to a later process', async () => {
    const directory = await openDataDirectory(path)
    const held = await readFile(join(path, 'LOCK'), 'utf8')
    await directory.release()
    await writeFile(join(path, 'LOCK'), held.replace(/\d+\n$/, '7\n'))
    await (await openDataDirectory(path)).release()
  })

  it('is taken over when its lock is unreadable', async () => {
    await (await openDataDirectory(path)).release()
    await writeFile(join(path, 'LOCK'), 'x')
    await (await openDataDirectory(path)).release()
  })

  it('goes to one of many that try at once', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => openDataDirectory(path)))
    const taken = tries.filter((one) => one.status === 'fulfilled')
    expect(taken).toHaveLength(1)
    await taken[0]!.value.release()
  })

  it('is refused by both numbers when its format is newer', async () => {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'FORMAT'), 'holdfast 2\n')
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('INVALID_ARGUMENT', path, 'format 2', 'up to 1'))
  })

  it('is refused as damaged, not as newer, where its node.json is of a format that this program wrote; a rejoin mends it', async () => {
    const { files, release } = await openDataDirectory(path)
    await writeIdentity(files, newIdentity('token'))
    await release()
    // One bit of the 1.
    await writeFile(join(path, 'FORMAT'), 'holdfast 3\n')
    await expect(openDataDirectory(path)).rejects.toEqual(
      refusal('INVALID_ARGUMENT', 'format 3', 'FORMAT is damaged', `holdfast node rejoin --data ${path}`),
    )
    await (await openDataDirectory(path, { mendFormat: true })).release()
    expect(await readFile(join(path, 'FORMAT'), 'utf8')).toBe('holdfast 1\n')
    await writeFile(join(path, 'FORMAT'), 'holdfast 3\n')
    await writeFile(join(path, 'node.json'), '{"format":2}')
    const newer = refusal('INVALID_ARGUMENT', path, 'format 3', 'start it with the newer version')
    for (const mendFormat of [false, true]) {
      await expect(openDataDirectory(path, { mendFormat })).rejects.toEqual(newer)
    }
    expect(await readFile(join(path, 'FORMAT'), 'utf8')).toBe('holdfast 3\n')
  })

  it('is refused when FORMAT is damaged, or missing beside data, and left as it was', async () => {
    await mkdir(path, { recursive: true, mode: 0o755 })
    await writeFile(join(path, 'FORMAT'), 'holdfesT 1\n')
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('INVALID_ARGUMENT', path, 'FORMAT is damaged'))
    await rm(join(path, 'FORMAT'))
    await writeFile(join(path, 'thesis.txt'), '')
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('INVALID_ARGUMENT', path, 'holds thesis.txt'))
    expect((await stat(path)).mode & 0o777).toBe(0o755)
    expect(await readdir(path)).toEqual(['thesis.txt'])
  })

  it('may hold a log file of its node from the start', async () => {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'node.log'), 'starting')
    await (await openDataDirectory(path)).release()
  })

  it('is refused when the path is a file', async () => {
    await writeFile(join(parent, 'file'), '')
    for (const bad of [join(parent, 'file'), join(parent, 'file', 'below')]) {
      await expect(openDataDirectory(bad)).rejects.toEqual(refusal('INVALID_ARGUMENT', bad, 'is not a directory'))
    }
  })
})
