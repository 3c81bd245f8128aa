import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Descriptor, NodeInfo } from '../../src/base/descriptor.js'
import type { Generation, Key, NodeId, RangeId } from '../../src/base/ids.js'
import { META_RANGE } from '../../src/base/ids.js'
import { DATA_SPAN, META_SPAN } from '../../src/base/keyspace.js'
import {
  DESCRIPTOR_SPAN,
  decodeDescriptor,
  decodeNode,
  descriptorKey,
  encodeMeta,
  NODE_SPAN,
  nodeKey,
} from '../../src/kv/meta.js'
import type { AllocateCommand, Command } from '../../src/kv/types.js'
import { contains } from '../../src/range/span.js'
import { descriptor, Harness, k, put, span, v, writeAt } from './helpers.js'

const node = (id: number, port = 7400): NodeInfo => ({
  node: id as NodeId,
  clientAddress: `127.0.0.1:${port}`,
  peerAddress: `127.0.0.1:${port + 100}`,
  pid: 1,
})
const range = (id: number, start: string, end: string | null, parts: Partial<Descriptor> = {}) =>
  descriptor({ range: id as RangeId, span: span(start, end), ...parts })
const meta = descriptor({ range: META_RANGE, span: META_SPAN })
const birth = [
  meta,
  descriptor({ range: 2 as RangeId, span: { start: DATA_SPAN.start, end: k('m') } }),
  range(3, 'm', null),
]

const publish = (version: number, descriptors: readonly Descriptor[], nodes: readonly NodeInfo[] = []): Command => ({
  kind: 'publish',
  version: v(version),
  descriptors,
  nodes,
})
const allocate = (version: number, parts: Partial<AllocateCommand> = {}): Command => ({
  kind: 'allocate',
  version: v(version),
  counter: 'range',
  count: 1,
  token: null,
  ...parts,
})
const published = (harness: Harness) =>
  [...harness.latest]
    .filter(([key]) => contains(DESCRIPTOR_SPAN, key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { value }]) => decodeDescriptor(value!))

describe('keys and values of the meta range', () => {
  const keys = fc.string({
    unit: fc.nat(255).map((byte) => String.fromCharCode(byte)),
  }) as fc.Arbitrary<unknown> as fc.Arbitrary<Key>

  test('descriptors sort by end key, the open end last, all within their span', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        expect(descriptorKey(a) < descriptorKey(b)).toBe(a < b)
        expect(descriptorKey(a) < descriptorKey(null)).toBe(true)
        for (const key of [descriptorKey(a), descriptorKey(null)]) {
          expect(contains(DESCRIPTOR_SPAN, key)).toBe(true)
          expect(contains(META_SPAN, key)).toBe(true)
        }
      }),
      { seed: 31, numRuns: 1_000 },
    )
  })

  test('values are ASCII and come back, whatever bytes the keys have', () => {
    fc.assert(
      fc.property(keys, fc.option(keys, { nil: null }), fc.string({ unit: 'binary' }), (start, end, address) => {
        const one = descriptor({ span: { start, end } })
        const bytes = encodeMeta(one)
        expect(bytes.every((byte) => byte >= 0x20 && byte < 0x7f)).toBe(true)
        expect(decodeDescriptor(bytes)).toEqual(one)
        const info = { ...node(3), clientAddress: address }
        expect(decodeNode(encodeMeta(info))).toEqual(info)
      }),
      { seed: 32, numRuns: 1_000 },
    )
  })

  test('equal things have equal bytes, in whatever order their members were set', () => {
    const reversed = Object.fromEntries(Object.entries(meta).reverse()) as unknown as Descriptor
    expect(encodeMeta(reversed)).toEqual(encodeMeta(meta))
  })

  test('nodes sort by id within their span', () => {
    const ids = [1, 255, 256, 70_000, 2 ** 31 + 5] as NodeId[]
    expect(ids.map(nodeKey)).toEqual(ids.map(nodeKey).sort())
    expect(ids.every((id) => contains(NODE_SPAN, nodeKey(id)))).toBe(true)
  })
})

describe('publish', () => {
  test('a descriptor replaces another at the same end only with a higher generation, then epoch', () => {
    const harness = Harness.meta()
    const at = (generation: number, epoch: number) =>
      range(2, 'a', 'm', { generation: generation as Generation, epoch })
    harness.apply(publish(1, [at(2, 5)]))
    for (const [index, old] of [at(2, 5), at(2, 4), at(1, 9)].entries()) {
      expect(harness.apply(publish(2 + index, [old])).records).toEqual([])
    }
    expect(harness.apply(publish(10, [at(2, 6)])).records).toHaveLength(1)
    expect(harness.apply(publish(11, [at(3, 0)])).records).toHaveLength(1)
    expect(published(harness)).toEqual([at(3, 0)])
  })

  test('of two descriptors with one end in one command the newer is written, once', () => {
    const harness = Harness.meta()
    const [old, young] = [range(2, 'a', 'm'), range(5, 'f', 'm', { generation: 2 as Generation })]
    expect(harness.apply(publish(1, [young, old])).records).toHaveLength(1)
    expect(published(harness)).toEqual([young])
  })

  test('a node is written when something about it changed', () => {
    const harness = Harness.meta()
    const applied = harness.apply(publish(1, [], [node(1, 1), node(2), node(1, 2)]))
    expect(applied.records.map(({ value }) => decodeNode(value!))).toEqual([node(1, 2), node(2)])
    expect(applied.records.every(({ codec }) => codec === 'json')).toBe(true)
    expect(harness.apply(publish(2, [], [node(1, 2), node(2)])).records).toEqual([])
    expect(harness.apply(publish(3, [], [{ ...node(2), pid: 9 }])).records).toHaveLength(1)
  })

  test('what was published is in the journal as changes', () => {
    const { journal, outcomes } = Harness.meta().apply(publish(1, [range(2, 'a', 'm')]))
    expect(outcomes).toEqual([{ kind: 'done', version: 1 }])
    expect(journal).toEqual({ timestamp: 1, outcomes: [], changes: [{ key: descriptorKey(k('m')), version: 1 }] })
  })
})

describe('allocate', () => {
  test('nothing is given before one publish covered the whole key space', () => {
    const harness = Harness.meta()
    harness.apply(publish(1, [meta, birth[1]!], [node(1)]))
    harness.apply(publish(2, [birth[2]!]))
    expect(harness.apply(allocate(3)).outcomes[0]?.kind).toBe('invalid')
    expect(harness.apply(allocate(4, { counter: 'node' })).outcomes[0]?.kind).toBe('invalid')
    harness.apply(publish(5, [birth[2]!, meta, birth[1]!], [node(4)]))
    expect(harness.apply(allocate(6)).outcomes).toEqual([{ kind: 'allocated', version: 6, first: 4 }])
    expect(harness.apply(allocate(7, { counter: 'node' })).outcomes).toEqual([
      { kind: 'allocated', version: 7, first: 5 },
    ])
  })

  test('a gap anywhere is not the whole key space', () => {
    const covers = (descriptors: readonly Descriptor[]) => {
      const harness = Harness.meta()
      harness.apply(publish(1, descriptors))
      return harness.apply(allocate(2)).outcomes[0]?.kind === 'allocated'
    }
    expect(covers(birth)).toBe(true)
    expect(covers(birth.slice(1))).toBe(false)
    expect(covers(birth.slice(0, 2))).toBe(false)
    expect(covers([birth[0]!, birth[2]!])).toBe(false)
    expect(covers([])).toBe(false)
  })

  test('never gives an id twice, nor one that was published, in one entry or over many', () => {
    const harness = Harness.meta()
    harness.apply(publish(1, birth))
    const { outcomes } = harness.apply(
      allocate(2, { count: 3 }),
      allocate(3),
      publish(4, [range(9, 'x', 'y')]),
      allocate(5),
    )
    expect(outcomes.map((outcome) => (outcome.kind === 'allocated' ? outcome.first : null))).toEqual([4, 7, null, 10])
    expect(harness.apply(allocate(6)).outcomes[0]).toMatchObject({ first: 11 })
  })

  test('node ids begin above those that hold replicas, listed as nodes or not', () => {
    const harness = Harness.meta()
    harness.apply(publish(1, birth, [node(1)]))
    expect(harness.apply(allocate(2, { counter: 'node' })).outcomes[0]).toMatchObject({ first: 4 })
  })

  test('the same token gets the same id again, another one another', () => {
    const harness = Harness.meta()
    harness.apply(publish(1, birth))
    const join = (version: number, token: string) => allocate(version, { counter: 'node', token })
    const { outcomes } = harness.apply(join(2, 'Ä\0'), join(3, 'b'), join(4, 'Ä\0'))
    expect(outcomes.map((outcome) => (outcome.kind === 'allocated' ? outcome.first : null))).toEqual([4, 5, 4])
    expect(harness.apply(join(5, 'b')).outcomes).toEqual([{ kind: 'allocated', version: 5, first: 5 }])
    expect(harness.apply(allocate(6, { token: 'b' })).outcomes).toEqual([{ kind: 'allocated', version: 6, first: 4 }])
  })

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53])('a count of %s is invalid', (count) => {
    const harness = Harness.meta()
    harness.apply(publish(1, birth))
    expect(harness.apply(allocate(2, { count })).outcomes[0]?.kind).toBe('invalid')
  })
})

test('meta commands are invalid in other ranges, and writes in the meta range', () => {
  const data = new Harness()
  const { outcomes, records } = data.apply(publish(1, birth, [node(1)]), allocate(2))
  expect(outcomes.map(({ kind }) => kind)).toEqual(['invalid', 'invalid'])
  expect(records).toEqual([])
  const write = { ...writeAt(1, [{ ...put('', '1'), key: nodeKey(1 as NodeId) }]) }
  expect(Harness.meta().apply(write).outcomes[0]?.kind).toBe('invalid')
})
