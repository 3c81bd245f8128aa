import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { filesOf, largestOfKind, PLACES, rot, rotWhere } from '../faults/bit-rot.js'
import { casesOf, ROUNDS } from '../runs/rot-cases.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-bit-rot-'))
  await mkdir(join(directory, 'log'))
  await writeFile(
    join(directory, 'log', '0000000001.seg'),
    Buffer.concat([Buffer.alloc(100, 'abc'), Buffer.alloc(400)]),
  )
})
afterEach(() => rm(directory, { recursive: true }))

describe('bit rot', () => {
  it('changes one bit of what was written at each place, or cuts half of it off', async () => {
    const path = join(directory, 'log', '0000000001.seg')
    const whole = await readFile(path)
    const changed: number[][] = []
    for (const place of PLACES) {
      await writeFile(path, whole)
      const [file] = await filesOf(directory)
      await rot(directory, file!, place)
      const bytes = await readFile(path)
      changed.push([bytes.length, ...[...bytes.keys()].filter((at) => bytes[at] !== whole[at])])
    }
    expect(changed).toEqual([[500, 0], [500, 50], [500, 99], [50]])
  })

  it('finds a file by what it holds', async () => {
    expect(await rotWhere(directory, 'log segment', 'cabc')).toBe('log/0000000001.seg byte 4')
    expect(await rotWhere(directory, 'log segment', 'nowhere')).toBeNull()
  })

  it('refuses a file of a kind that it does not know, and leaves alone what was put aside', async () => {
    await mkdir(join(directory, 'aside-1', 'log'), { recursive: true })
    await writeFile(join(directory, 'aside-1', 'log', 'anything'), 'x')
    expect(await filesOf(directory)).toHaveLength(1)
    await writeFile(join(directory, 'novelty'), 'x')
    await expect(filesOf(directory)).rejects.toThrow('novelty is a file of no kind')
  })
})

describe('the damages of a run', () => {
  it('are all kinds at all places, after each end that leaves such a file, and the record of damage', () => {
    const both = { path: 'FORMAT', kind: 'FORMAT', bytes: 11 }
    const clean = { path: 'CLEAN', kind: 'how it ended', bytes: 31 }
    const empty = { path: 'state/LOCK', kind: 'LevelDB lock', bytes: 0 }
    const cases = casesOf({ SIGTERM: [both, clean, empty], SIGKILL: largestOfKind([both, empty]) })
    const counts = new Map<string, number>()
    for (const { kind, stop } of cases) counts.set(`${kind} ${stop}`, (counts.get(`${kind} ${stop}`) ?? 0) + 1)
    expect([...counts]).toEqual([
      ['state damage found SIGKILL', 4],
      ['FORMAT SIGTERM', 4],
      ['FORMAT SIGKILL', 4],
      ['how it ended SIGTERM', 4],
    ])
  })

  it('cost at most one node of a round what it held; the others lose nothing', () => {
    const harmless = ['peers.json', 'how it ended', 'what LevelDB says', 'LOCK']
    for (const round of ROUNDS) {
      const losing = round.filter(({ kind, place }) => place !== 'a value' && !harmless.includes(kind))
      expect(losing.length).toBeLessThanOrEqual(1)
      expect(new Set(round.map(({ kind }) => kind)).size).toBe(3)
      expect([0, 3]).toContain(round.filter(({ place }) => place === 'a value').length)
    }
  })
})
