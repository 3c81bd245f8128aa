import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Ended, ownEnd } from '../ends.js'
import { lastErrors } from '../nemeses/last-errors.js'
import { processNemeses } from '../nemeses/processes.js'
import type { Battlefield } from '../nemeses/types.js'
import { eventually, NodeProcess } from '../processes.js'

const WITHIN_MS = 20_000
const ERROR = (msg: string, more: object = {}): string => JSON.stringify({ level: 'error', msg, ...more })

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-ends-'))
})
afterEach(() => rm(directory, { recursive: true }))

/** What stands for a node is this shell script. */
function scripted(script: string): NodeProcess {
  const place = { listen: '127.0.0.1:1', peerListen: '127.0.0.1:2', http: '127.0.0.1:3' }
  return new NodeProcess({
    place: { ...place, wrapper: ['sh', '-c', script, 'node'] },
    directory,
    logFile: join(directory, 'log'),
    join: [],
  })
}

async function said(node: NodeProcess, text: string): Promise<void> {
  await eventually(text, WITHIN_MS, async () => ((await node.lastLines(1))[0] === text ? true : null))
}

async function isDown(node: NodeProcess): Promise<void> {
  await eventually('its end', WITHIN_MS, async () => (node.isUp ? null : true))
}

/** Says that it listens, waits, and does this when it is told to stop. */
const listening = (atStop: string): string => `trap '${atStop}' TERM; echo up; while :; do sleep 0.02; done`

describe('an end that nobody asked for', () => {
  it('is there whatever comes after it: a strike is no hit, and the next start does not hide it', async () => {
    const node = scripted('echo "applied goes back"; exit 70')
    node.start()
    await isDown(node)
    const field = { cluster: { nodes: [node] }, random: () => 0 } as unknown as Battlefield
    for (const name of ['kill-one', 'kill-all', 'pause-one'])
      expect(await processNemeses.find((nemesis) => nemesis.name === name)!.strike(field), name).toBe(null)
    await node.end('SIGKILL')
    node.start()
    expect(node.ownEnds.map(({ what }) => what)).toEqual(['ended by itself: code 70: applied goes back'])
    await isDown(node)
  })

  it('is one after SIGTERM with another code than 0, and none with 0 or after SIGKILL', async () => {
    const node = scripted(listening('echo "in hand over"; exit 70'))
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      node.start()
      await said(node, 'up')
      await node.end(signal)
    }
    expect(node.ownEnds.map(({ what }) => what)).toEqual([
      'was told to end by SIGTERM and did not end so: code 70: in hand over',
    ])
    const orderly = scripted(listening('exit 0'))
    orderly.start()
    await said(orderly, 'up')
    await orderly.end('SIGTERM')
    expect(orderly.ownEnds).toEqual([])
  })
})

describe('why a process ended', () => {
  const killed: Ended = { code: null, signal: 'SIGKILL' }

  async function wordsOf(lines: readonly string[], ended: Ended, asked: 'SIGKILL' | 'SIGTERM' | null = null) {
    const earlier = `${ERROR('of the process before')}\n`
    const logFile = join(directory, 'log')
    await writeFile(logFile, [earlier, ...lines.map((line) => `${line}\n`)].join(''))
    return ownEnd(ended, { asked, logFile, fromByte: earlier.length })?.said ?? null
  }

  it('is its last error, of this process, without what lies behind it', async () => {
    const lines = [ERROR('first'), ERROR('did not start: no', { code: 'DISK_FULL', cause: 'Error: EIO' }), 'error: no']
    expect(await wordsOf(lines, { code: 3, signal: null })).toBe('did not start: no (DISK_FULL)')
    expect(await wordsOf(['{"level":"info","msg":"ready"}'], killed)).toBe('{"level":"info","msg":"ready"}')
    expect(await wordsOf([], killed)).toBe('SIGKILL')
  })

  it('is only the signal where it did not choose to end', async () => {
    for (const signal of ['SIGABRT', 'SIGBUS', 'SIGSEGV'] as const)
      expect(await wordsOf([ERROR('EIO')], { code: null, signal })).toBe(signal)
    expect(await wordsOf([ERROR('EIO')], { code: 134, signal: null })).toBe('code 134')
    expect(await wordsOf([ERROR('EIO')], { code: 0, signal: null })).toBe('code 0')
  })

  it('is no question where SIGTERM came before it listened to signals', async () => {
    const ended: Ended = { code: null, signal: 'SIGTERM' }
    expect(await wordsOf([], ended, 'SIGTERM')).toBe(null)
    expect(await wordsOf(['{"level":"info","msg":"ready"}'], ended, 'SIGTERM')).toBe('SIGTERM')
  })
})

describe('a fault explains', () => {
  const { eio, full, lost, rot } = lastErrors
  it.each<[string, RegExp[]]>([
    ['fatal: cannot write the log log/0000000002.seg: EIO: i/o error, fdatasync', [eio, lost]],
    ['did not start: cannot write to log/0000000002.seg: EIO: i/o error, fdatasync (INTERNAL)', [eio, lost]],
    ['fatal: writing to the state database failed: IO error: x/000003.log: Input/output error', [eio, lost]],
    ['did not start: Database failed to open', [eio, lost, rot]],
    ['fatal: cannot write the log log/0000000002.seg: no space is left on the device (ENOSPC)', [lost]],
    ['did not start: no space is left on the device of the data directory x. Free some (DISK_FULL)', [lost, full]],
    [
      'did not start: the data directory x cannot be used: its file FORMAT is damaged: found "h" (INVALID_ARGUMENT)',
      [rot],
    ],
    ['kept out: node 2 was seen here. With `holdfast node rejoin --data x` it comes back', [rot]],
    ['fatal: the log is damaged: log/0000000002.seg at offset 4096 (entry 3 of range 2)', [rot]],
    ['fatal: writing to the state database failed: Corruption: block checksum mismatch', [rot]],
    ['SIGBUS', [rot]],
    ['SIGABRT', []],
    ['fatal: the store contradicts itself', []],
    ['uncaught exception: this node ends', []],
    ['assertion failed: applied goes back', []],
  ])('%s', (words, expected) => {
    expect([eio, lost, full, rot].filter((each) => each.test(words))).toEqual(
      [eio, lost, full, rot].filter((each) => expected.includes(each)),
    )
  })
})
