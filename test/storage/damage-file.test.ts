import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RangeId, StorageId } from '../../src/base/ids.js'
import { DamageFile } from '../../src/storage/leveldb/damage-file.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-damage-'))
})
afterEach(() => rm(directory, { recursive: true }))

test('a bit of the record of damage that flips never makes it name something else: it stands for everything then', async () => {
  const damage = { what: 'table 5: gone', storages: [3, 12] as StorageId[], journals: [2 as RangeId] }
  await (await DamageFile.open(directory)).add(damage)
  expect((await DamageFile.open(directory)).damage).toEqual(damage)
  const path = join(directory, 'DAMAGED.json')
  const whole = await readFile(path)
  const all = { what: 'DAMAGED.json is unreadable', storages: 'all', journals: 'all' }
  let unreadable = 0
  for (let at = 0; at < whole.length * 8; at++) {
    const bytes = Buffer.from(whole)
    bytes[at >> 3]! ^= 1 << (at & 7)
    await writeFile(path, bytes)
    const found = (await DamageFile.open(directory)).damage
    // White space between the members says nothing.
    if (JSON.stringify(found) === JSON.stringify(damage)) continue
    expect(found).toEqual(all)
    unreadable++
  }
  expect(unreadable).toBeGreaterThan(whole.length * 6)
})
