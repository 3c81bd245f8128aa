import { describe, expect, it } from 'vitest'
import type { BootId, ClusterId, Generation, Key, NodeId, RangeId, ReplicaId } from '../../src/base/ids.js'
import {
  historyOf,
  type Identity,
  newIdentity,
  nextBootCounter,
  readIdentity,
  rejoined,
  withBoot,
  writeIdentity,
} from '../../src/storage/identity.js'
import { memoryFiles } from './log-support.js'

const nobody = newIdentity('token-1')
const nodes = [{ node: 1 as NodeId, clientAddress: 'a:1', peerAddress: 'a:2', pid: 0 }]
const range = {
  range: 2 as RangeId,
  span: { start: '\u0000\u0000\u0000\u0010' as Key, end: '\u0000\u00ff é"' as Key },
  generation: 1 as Generation,
  epoch: 0,
  replicas: [{ replica: 1 as ReplicaId, node: 1 as NodeId, role: 'voter' as const }],
  nextReplica: 2 as ReplicaId,
}
const somebody: Identity = {
  ...nobody,
  cluster: '0123456789abcdef0123456789abcdef' as ClusterId,
  node: 1 as NodeId,
  boots: [{ counter: 1, id: 99 as BootId, batch: 1 }],
  rejoins: [5 as BootId],
  hasLog: true,
  birth: {
    nodes,
    ranges: [range, { ...range, span: { ...range.span, end: null } }],
    tokens: [{ node: 1 as NodeId, token: 'token-1' }],
  },
}

describe('the identity of a node', () => {
  it('is null before there is one', async () => {
    expect(await readIdentity(memoryFiles())).toBeNull()
  })

  it.each([nobody, somebody])('comes back as it was written', async (identity) => {
    const files = memoryFiles()
    await writeIdentity(files, identity)
    files.crash()
    expect(await readIdentity(files)).toEqual(identity)
  })

  it('keeps every boot, oldest first, under numbers that ascend', async () => {
    const files = memoryFiles()
    let identity: Identity = nobody
    for (const boot of [7, 3, Number.MAX_SAFE_INTEGER]) {
      identity = withBoot(identity, { id: boot as BootId, batch: identity.boots.length * 10 + 1 })
      await writeIdentity(files, identity)
    }
    files.crash()
    const found = (await readIdentity(files))!
    expect(found.boots.map(({ counter }) => counter)).toEqual([1, 2, 3])
    expect(historyOf(found)).toEqual({ boots: [7, 3, Number.MAX_SAFE_INTEGER], batches: [1, 11, 21], rejoins: [] })
    expect([nextBootCounter(found), found.hasLog]).toEqual([4, true])
  })

  it('without its replicas makes none again that it was born with, and keeps who it is', () => {
    const left = { ...somebody, token: 'new', hasLog: false, birth: { ...somebody.birth, ranges: [] } }
    expect(rejoined(nobody, { token: 'new', mark: 6 as BootId })).toEqual({ ...nobody, token: 'new', rejoins: [6] })
    expect(rejoined(somebody, { token: 'new', mark: 6 as BootId })).toEqual({ ...left, rejoins: [5, 6] })
  })

  it('is refused by name with any flipped or missing byte, and left as it is', async () => {
    const files = memoryFiles()
    await writeIdentity(files, somebody)
    const good = (await files.read('node.json'))!
    for (let at = 0; at < good.length; at += 1) {
      const bytes = good.slice()
      bytes[at]! ^= 0x04
      files.put('node.json', bytes)
      const found = await readIdentity(files).catch((error: Error) => error)
      // A flip between the members changes nothing that is said.
      if (!(found instanceof Error)) expect(found, `at ${at}`).toEqual(somebody)
      else expect(found.message, `at ${at}`).toMatch(/^node\.json in the data directory is damaged/)
      expect(files.contents('node.json')).toEqual(bytes)
      if (at >= good.length - 1) continue
      files.put('node.json', good.subarray(0, at))
      await expect(readIdentity(files), `cut at ${at}`).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  it('is refused when it is of a newer format, with both numbers', async () => {
    const files = memoryFiles()
    await files.replace('node.json', new Uint8Array(Buffer.from('{ "format": 2 }')))
    await expect(readIdentity(files)).rejects.toThrow('it is of format 2, this program knows up to 1')
  })
})
