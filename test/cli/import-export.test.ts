import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KeySample } from '../../cli/sampling.js'
import { HoldfastError } from '../../src/base/errors.js'
import type { Entry, ScanOptions } from '../../src/client/index.js'
import { Harness } from './harness.js'

let cli = new Harness()
let folder = ''
beforeEach(() => {
  cli = new Harness()
  folder = mkdtempSync(join(tmpdir(), 'holdfast-import-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const rowsFile = (lines: readonly unknown[]) => {
  const file = join(folder, 'rows.jsonl')
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  return file
}

const VALUES = [
  { key: 'text', value: 'héllo\nworld', codec: 'utf8' },
  { key: 'bytes', value: { $bytes: 'AAH/' }, codec: 'bytes' },
  { key: { $bytes: '/wA=' }, value: 'under a key that is no text', codec: 'utf8' },
  { key: ['user', 7, { $bigint: '9007199254740993' }], value: { a: [1, null, { $bigint: '1' }] }, codec: 'msgpack' },
  { key: ['odd'], value: { $number: 'NaN' }, codec: 'msgpack' },
  { key: ['form'], value: { $object: { $bytes: 'not bytes' } }, codec: 'msgpack' },
  { key: ['json'], value: { b: true }, codec: 'json' },
]

describe('export and import', () => {
  it('give back what was there: keys, values and codecs', async () => {
    await cli.run(['import', rowsFile(VALUES)])
    const exported = await cli.run(['export'])
    const other = new Harness()
    expect((await other.run(['import'], exported.out)).exit).toBe(0)
    expect((await other.run(['export'])).out).toBe(exported.out)
    const byKey = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).sort()
    expect(byKey(exported.json)).toEqual(byKey(VALUES))
    expect(exported.err).toMatch(/^7 rows in /)
  })

  it('export one namespace into a file', async () => {
    await cli.run(['import', rowsFile(VALUES)])
    const file = join(folder, 'out.jsonl')
    expect((await cli.run(['export', '--namespace', 'raw', '-o', file])).exit).toBe(0)
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(3)
  })

  it('an export that fails leaves the file as it was; the next one replaces it', async () => {
    const large = { key: 'large', value: 'x'.repeat(100_000), codec: 'utf8' }
    await cli.run(['import', rowsFile([...VALUES, large])])
    const file = join(folder, 'out.jsonl')
    writeFileSync(file, 'older', { mode: 0o600 })
    const { scan } = cli.cluster
    cli.cluster.scan = async function* <T>(options?: ScanOptions) {
      yield* scan.call(cli.cluster, options) as AsyncGenerator<Entry<T>>
      throw new HoldfastError('UNAVAILABLE', 'nobody there')
    }
    expect((await cli.run(['export', '-o', file])).exit).toBe(3)
    expect(readFileSync(file, 'utf8')).toBe('older')
    cli.cluster.scan = scan
    const link = join(folder, 'link.jsonl')
    symlinkSync(file, link)
    expect((await cli.run(['export', '-o', link])).exit).toBe(0)
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(VALUES.length + 1)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder).sort()).toEqual(['link.jsonl', 'out.jsonl', 'rows.jsonl'])
  })

  it('a device is written to as it is', async () => {
    expect((await cli.run(['export', '-o', '/dev/null'])).exit).toBe(0)
    expect(statSync('/dev/null').isFile()).toBe(false)
  })

  it('a file that cannot be written is an error that names it', async () => {
    const { exit, err } = await cli.run(['export', '-o', join(folder, 'missing', 'out.jsonl')])
    expect(err).toContain(join(folder, 'missing', 'out.jsonl'))
    expect(exit).toBe(2)
  })
})

describe('import', () => {
  const many = Array.from({ length: 1_000 }, (_, index) => ({ key: ['k', index], value: index }))

  it('takes msgpack where a row names no codec, and reports rows and rate', async () => {
    const { json } = await cli.run(['import', rowsFile(many), '--json'])
    expect(json).toMatchObject([{ rows: 1_000, splits: 0 }])
    expect([...cli.cluster.entries.values()].every((entry) => entry.codec === 'msgpack')).toBe(true)
  })

  it('keeps a bounded number of puts under way', async () => {
    let open = 0
    let openMax = 0
    cli.cluster.put = async () => {
      open += 1
      openMax = Math.max(openMax, open)
      await new Promise((resolve) => setImmediate(resolve))
      open -= 1
      return { version: 1 }
    }
    await cli.run(['import', rowsFile(many), '--in-flight', '16'])
    expect({ open, openMax }).toEqual({ open: 0, openMax: 16 })
  })

  it('of two rows with one key the later wins', async () => {
    const twice = Array.from({ length: 100 }, (_, index) => ({ key: `k${index % 3}`, value: index }))
    let delay = 10
    const put = cli.cluster.put.bind(cli.cluster)
    // Earlier puts take longer than later ones.
    cli.cluster.put = async (key, value, options) => {
      for (let turn = delay--; turn > 0; turn -= 1) await Promise.resolve()
      return put(key, value, options)
    }
    await cli.run(['import', rowsFile(twice)])
    expect(await Promise.all(['k0', 'k1', 'k2'].map((key) => cli.cluster.get(key)))).toEqual([99, 97, 98])
  })

  it.each([
    ['[1]', /line 2: expected an object/],
    ['{"value":1}', /line 2: there is no "key"/],
    ['{"key":"a"}', /line 2: there is no "value"/],
    ['{"key":"a","value":1,"codec":"xml"}', /line 2: unknown codec "xml"/],
    ['{"key":{"a":1},"value":1}', /line 2: .*is not a key/],
    ['{"key":"a",', /line 2: /],
  ])('refuses %s by its line', async (line, message) => {
    const { exit, err } = await cli.run(['import'], `{"key":"good","value":1}\n${line}\n`)
    expect(err).toMatch(message)
    expect(err).toMatch(/1 rows were written before/)
    expect(exit).toBe(2)
  })

  it('stops at the first failed put, names its line and keeps its code', async () => {
    const put = cli.cluster.put.bind(cli.cluster)
    let calls = 0
    cli.cluster.put = (key, value, options) => {
      calls += 1
      return calls === 3 ? Promise.reject(new HoldfastError('DISK_FULL', 'no space')) : put(key, value, options)
    }
    const { exit, err } = await cli.run(['import', rowsFile(many), '--in-flight', '4'])
    expect(err).toMatch(/line 3: no space\. \d rows were written before \(DISK_FULL\)/)
    expect(exit).toBe(3)
    expect(calls).toBeLessThan(12)
  })

  it.each(['file', 'standard input'])('--presplit cuts by the keys of a %s', async (source) => {
    const file = rowsFile(many)
    const argv = ['import', ...(source === 'file' ? [file] : []), '--presplit', '4', '--json']
    const { json } = await cli.run(argv, readFileSync(file, 'utf8'))
    expect(json).toMatchObject([{ rows: 1_000, splits: 3 }])
    expect(cli.cluster.splits).toEqual([
      ['k', 250],
      ['k', 500],
      ['k', 750],
    ])
  })

  it('--presplit says when there are too few different keys', async () => {
    const { err } = await cli.run([
      'import',
      rowsFile([
        { key: 'a', value: 1 },
        { key: 'b', value: 1 },
      ]),
      '--presplit',
      '5',
    ])
    expect(cli.cluster.splits).toEqual(['b'])
    expect(err).toContain('allow 2 parts, not 5')
  })

  it('--presplit goes on where a range begins already', async () => {
    cli.cluster.split = () => Promise.reject(new HoldfastError('INVALID_ARGUMENT', 'a range begins there'))
    expect((await cli.run(['import', rowsFile(many), '--presplit', '4', '--json'])).json).toMatchObject([
      { splits: 0, rows: 1_000 },
    ])
  })
})

describe('a sample of keys', () => {
  it('stays near the true quantiles of an input larger than itself', () => {
    const sample = new KeySample()
    const COUNT = 100_000
    for (let index = 0; index < COUNT; index += 1) sample.add([index])
    const cuts = sample.cuts(4).map((key) => (key as [number])[0] / COUNT)
    for (const [index, cut] of cuts.entries()) expect(Math.abs(cut - (index + 1) / 4)).toBeLessThan(0.02)
  })

  it('has nothing to cut by when empty, or when all keys are one', () => {
    const sample = new KeySample()
    expect(sample.cuts(3)).toEqual([])
    for (let count = 0; count < 10; count += 1) sample.add('same')
    expect(sample.cuts(3)).toEqual([])
  })
})
