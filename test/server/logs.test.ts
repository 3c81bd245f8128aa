import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { NodeId } from '../../src/base/ids.js'
import { NodeLogger } from '../../src/server/node-logger.js'
import { foreign } from './foreign.js'
import { Bench, Lines, refusal } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

const NOT_IN_ORDER = /warn: the process before this one did not end in order/

describe('the log of a node', () => {
  function logger(node: NodeId | null = null) {
    const lines = new Lines()
    const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
    return { lines, clock, log: new NodeLogger(lines, () => node, clock) }
  }

  test('names the node in every line, once it has an id', () => {
    const before = logger()
    before.log.log('info', 'ready', { data: 'd' })
    expect(before.lines.whole).toEqual([{ level: 'info', message: 'ready', fields: { data: 'd' } }])
    const after = logger(3 as NodeId)
    after.log.log('info', 'leadership', { range: 2 })
    expect(after.lines.whole).toEqual([{ level: 'info', message: 'leadership', fields: { node: 3, range: 2 } }])
  })

  test('writes a problem that repeats a few times, then counts it', () => {
    const { lines, clock, log } = logger()
    for (let port = 0; port < 1_000; port++) log.log('warn', `client 127.0.0.1:${port} is cut off`)
    log.log('info', 'something else')
    expect(lines.all).toHaveLength(11)
    clock.nowMs = 10_000
    log.log('info', 'stopping')
    expect(lines.all.slice(11)).toEqual(['warn: 990 more like: client 127.0.0.1:0 is cut off', 'info: stopping'])
    log.log('warn', 'client 127.0.0.1:77 is cut off')
    expect(lines.all.at(-1)).toBe('warn: client 127.0.0.1:77 is cut off')
  })

  test('tells what it left out before it ends', () => {
    const { lines, log } = logger()
    for (let i = 0; i < 12; i++) log.log('error', `failed ${i}`)
    log.flush()
    log.flush()
    expect(lines.all.slice(10)).toEqual(['error: 2 more like: failed 0'])
  })

  test('holds only so many kinds of messages in memory', () => {
    const { lines, log } = logger()
    const name = (i: number) => [...String(i)].map((digit) => 'ghijklmnop'[Number(digit)]).join('')
    for (let i = 0; i < 2_000; i++) log.log('warn', name(i))
    log.log('warn', name(0))
    expect(lines.all).toHaveLength(2_001)
  })

  test('never has a key or a value in it, whatever is asked of the node', async () => {
    const [node] = await bench.cluster(1)
    const db = await bench.connect([node!])
    const secret = 'sesame-open'
    await db.put(secret, secret)
    await db.get(secret)
    await db.split(secret)
    await refusal(db.put(secret, secret, { ifAbsent: true }))
    const call = foreign(node!.client, bench)
    await call('KeyValue', 'Put', { key: Buffer.from(secret), value: Buffer.alloc(1_100_000, secret) })
    await call('KeyValue', 'Batch', {
      operations: [{ put: { key: Buffer.from(secret), value: Buffer.from(secret) } }, {}],
    })
    await node!.stop()
    const text = JSON.stringify(node!.lines.whole)
    expect(text).toContain('split')
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')]) {
      expect(text).not.toContain(form)
    }
  })
})

describe('how the process before ended', () => {
  test('is not worth a word after an orderly stop', async () => {
    const [node] = await bench.cluster(1)
    await node!.stop()
    expect(existsSync(join(node!.directory, 'CLEAN'))).toBe(true)
    await node!.start()
    expect(existsSync(join(node!.directory, 'CLEAN'))).toBe(false)
    await node!.stop()
    expect(node!.lines.count(NOT_IN_ORDER)).toBe(0)
  })

  test('is said by name when it left no mark, also by a second start that fails before it opened anything', async () => {
    const [node] = await bench.cluster(1)
    await node!.stop()
    await rm(join(node!.directory, 'CLEAN'))
    const taken = await bench.node()
    await taken.start()
    await refusal(node!.start({ listen: taken.client }))
    expect(node!.lines.count(NOT_IN_ORDER)).toBe(1)
    await node!.start()
    expect(node!.lines.count(NOT_IN_ORDER)).toBe(2)
    await node!.stop()
    await node!.start()
    expect(node!.lines.count(NOT_IN_ORDER)).toBe(2)
  })

  test('stays known as orderly over a start that fails before it opened anything', async () => {
    const [node] = await bench.cluster(1)
    await node!.stop()
    const taken = await bench.node()
    await taken.start()
    await refusal(node!.start({ listen: taken.client }))
    await node!.start()
    expect(node!.lines.count(NOT_IN_ORDER)).toBe(0)
  })
})
