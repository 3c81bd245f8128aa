import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDataDirectory } from '../../src/storage/data-directory.js'
import { newIdentity, writeIdentity } from '../../src/storage/identity.js'
import { eventually } from '../eventually.js'

let parent: string
let path: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'holdfast-directory-'))
  path = join(parent, 'a', 'node-1')
})

const children: ChildProcess[] = []

afterEach(async () => {
  await Promise.all(children.splice(0).map(killed))
  await rm(parent, { recursive: true })
})

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** A process that opens the directory: `said` is 'held', which lasts until it is killed, or why it was refused. */
async function opener(directory: string, launcher: readonly string[] = []) {
  const module = new URL('../../src/storage/data-directory.js', import.meta.url).href
  const program = `
    import { openDataDirectory } from ${JSON.stringify(module)}
    setInterval(() => {}, 1000)
    const said = await openDataDirectory(${JSON.stringify(directory)}).then(() => 'held', (error) => error.message)
    process.stdout.write(said)`
  const [file, ...args] = [...launcher, process.execPath, '--input-type=module', '--eval', program]
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  return { said: said.toString(), kill: () => killed(child) }
}

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
    expect((await readdir(path)).sort()).toEqual(['FORMAT', 'LOCK', 'lock.db'])
    await directory.release()
    expect((await readdir(path)).sort()).toEqual(['FORMAT', 'lock.db'])
  })

  it('is refused while a live process holds it, this one too, with its id and what to do', async () => {
    const directory = await openDataDirectory(path)
    await expect(openDataDirectory(path)).rejects.toEqual(
      refusal('NOT_PERMITTED', path, `in use by process ${process.pid}:`, 'stop that process'),
    )
    await directory.release()
    await (await openDataDirectory(path)).release()
  })

  it('is refused under another name, too, and such a refusal does not open it to other processes', async () => {
    const directory = await openDataDirectory(path)
    await symlink(path, join(parent, 'link'))
    await expect(openDataDirectory(join(parent, 'link'))).rejects.toEqual(
      refusal('NOT_PERMITTED', 'link', `in use by process ${process.pid}:`),
    )
    expect((await opener(path)).said).toMatch(new RegExp(`in use by process ${process.pid}:`))
    await directory.release()
    const next = await opener(path)
    expect(next.said).toBe('held')
    await next.kill()
  })

  it('is refused while another process holds it, whatever LOCK says, and free as soon as that one is killed', async () => {
    const holder = await opener(path)
    const own = await readFile(join(path, 'LOCK'), 'utf8')
    await expect(openDataDirectory(path)).rejects.toEqual(
      refusal('NOT_PERMITTED', path, `in use by process ${own.split(' ')[0]}:`),
    )
    const stranger = own.replace(/\d+\n$/, '7\n')
    const here = own.replace(/^\d+/, `${process.pid}`)
    for (const text of [stranger, here, `${process.pid} -\n`, '999999999 some-boot:123\n']) {
      await writeFile(join(path, 'LOCK'), text)
      await expect(openDataDirectory(path)).rejects.toEqual(
        refusal(
          'NOT_PERMITTED',
          'in use by a process that is not seen from here',
          `itself process ${text.split(' ')[0]}`,
        ),
      )
    }
    for (const text of ['', 'x']) {
      await writeFile(join(path, 'LOCK'), text)
      await expect(openDataDirectory(path)).rejects.toEqual(refusal('NOT_PERMITTED', 'in use by another process:'))
    }
    await rm(join(path, 'LOCK'))
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('NOT_PERMITTED', 'in use by another process:'))
    await writeFile(join(path, 'LOCK'), own)
    await holder.kill()
    const directory = await openDataDirectory(path)
    expect(await readFile(join(path, 'LOCK'), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
    await directory.release()
  })

  const contained = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
  const canContain = spawnSync(contained[0]!, [...contained.slice(1), 'true']).status === 0
  it.skipIf(!canContain)(
    'is refused to a process of another pid namespace with the same id (needs root for unshare)',
    async () => {
      const holder = await opener(path, contained)
      const other = await opener(path, contained)
      const { 0: pid } = (await readFile(join(path, 'LOCK'), 'utf8')).split(' ')
      expect([holder.said, pid]).toEqual(['held', '1'])
      expect(other.said).toContain('of another container or machine (it calls itself process 1)')
      await holder.kill()
      // The process was a child of the one that was killed, and dies after it.
      await (await eventually(() => openDataDirectory(path).catch(() => null))).release()
    },
  )

  it('is taken where the files of its lock are damaged, and refused while it is held, though they are', async () => {
    await (await openDataDirectory(path)).release()
    const lock = join(path, 'lock.db')
    const { ino } = await stat(join(lock, 'LOCK'))
    const damage = async () => {
      for (const name of await readdir(lock)) {
        if (name !== 'LOCK') await writeFile(join(lock, name), 'damage')
      }
    }
    await damage()
    const holder = await opener(path)
    expect(holder.said).toBe('held')
    await damage()
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('NOT_PERMITTED', 'in use by process'))
    for (const name of await readdir(lock)) if (name !== 'LOCK') await rm(join(lock, name))
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('NOT_PERMITTED', 'in use by process'))
    await holder.kill()
    await damage()
    await (await openDataDirectory(path)).release()
    // The file itself is never made anew: who held the one before would not be met.
    expect((await stat(join(lock, 'LOCK'))).ino).toBe(ino)
  })

  it('is refused where its lock cannot be made, and may be taken once it can', async () => {
    await mkdir(path, { recursive: true })
    await writeFile(join(path, 'lock.db'), '')
    await expect(openDataDirectory(path)).rejects.toEqual(refusal('NOT_PERMITTED', path, 'written or locked: EEXIST'))
    await rm(join(path, 'lock.db'))
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
