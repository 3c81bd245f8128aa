import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Key, SessionId, Version } from '../../src/base/ids.js'
import type { Command } from '../../src/kv/types.js'
import { recordDigest } from '../../src/storage/codec/digest.js'
import { decodeCommands, encodeCommands } from '../../src/storage/codec/entry.js'
import { DamagedError, UnknownFormatError } from '../../src/storage/codec/errors.js'
import { times } from '../property.js'
import { anyCommand, anyRecord } from './codec-arbitraries.js'

const seed = 11

/** Buffers and Uint8Arrays of the same bytes are the same value. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

const floor: Command = { kind: 'sessionFloor', version: 7 as Version, floor: 3 as Version }

/** A payload whose body says what `edit` made of it, under a checksum that fits. */
function edited(commands: readonly Command[], edit: (body: Uint8Array) => void): Uint8Array {
  const payload = encodeCommands(commands)
  edit(payload)
  new DataView(payload.buffer).setUint32(1, crc32(payload.subarray(5)))
  return payload
}

test('commands come back as they were given', () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 8 }), (commands) => {
      expect(plain(decodeCommands(encodeCommands(commands)))).toEqual(plain(commands))
    }),
    times(2000, seed),
  )
})

test('a payload owns its memory and is not touched by the next encoding', () => {
  const first = encodeCommands([floor])
  const before = [...first]
  encodeCommands([{ ...floor, version: 9 as Version }])
  expect([...first]).toEqual(before)
  expect(first.buffer.byteLength).toBe(first.length)
})

test('a session id is written once per entry', () => {
  const session = 'Q'.repeat(22) as SessionId
  const origin = { session, sequence: 1, firstSent: 1 as Version, lowest: 1 }
  const command: Command = {
    kind: 'split',
    version: 7 as Version,
    origin,
    generation: 1 as never,
    at: 'm' as Key,
    child: 2 as never,
  }
  const payload = encodeCommands([command, command, command])
  expect(Buffer.from(payload).toString('latin1').split(session).length - 1).toBe(1)
})

test('every flipped byte and every cut is refused', () => {
  fc.assert(
    fc.property(
      fc.array(anyCommand, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (commands, place, flip) => {
        const payload = encodeCommands(commands)
        const at = place % payload.length
        const flipped = payload.slice()
        flipped[at] = flipped[at]! ^ flip
        expect(() => decodeCommands(flipped)).toThrow(at === 0 ? UnknownFormatError : DamagedError)
        expect(() => decodeCommands(payload.subarray(0, at))).toThrow(DamagedError)
      },
    ),
    times(500, seed),
  )
})

test('an unknown command kind, bit or required flag is refused, never skipped', () => {
  expect(() => decodeCommands(edited([floor], (body) => body.fill(99, 8, 9)))).toThrow(/command of kind 99/)
  expect(() => decodeCommands(edited([floor], (body) => body.fill(1, 9, 10)))).toThrow(UnknownFormatError)
  expect(() => decodeCommands(edited([floor], (body) => body.fill(0x40, 5, 6)))).toThrow(/required flags 0x40/)
})

test('a count larger than the bytes that follow is refused before anything is allocated', () => {
  expect(() => decodeCommands(edited([floor], (body) => body.fill(0x7f, 7, 8)))).toThrow(DamagedError)
})

test('bytes behind the last command are refused', () => {
  expect(() => decodeCommands(edited([floor], (body) => body.fill(0, 7, 8)))).toThrow(/bytes too many/)
})

test('the digest is 32 bits, unsigned, and changes with every part of a record', () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const digest = recordDigest(record)
      expect(digest >>> 0).toBe(digest)
      expect(recordDigest({ ...record, key: `${record.key}x` as Key })).not.toBe(digest)
      expect(recordDigest({ ...record, version: (record.version === 0 ? 1 : record.version - 1) as Version })).not.toBe(
        digest,
      )
      expect(recordDigest({ ...record, value: record.value === null ? new Uint8Array() : null })).not.toBe(digest)
    }),
    times(500, seed),
  )
})
