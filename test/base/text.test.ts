import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { textFromUtf8, utf8FromText } from '../../src/base/text.js'

const units = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
const anyBytes = fc.array(
  fc.oneof(fc.nat(255), fc.constantFrom(0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5)),
)

describe('utf-8 as binary strings', () => {
  test('is what Buffer makes of well-formed text, and comes back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), (text) => {
        expect(utf8FromText(text)).toBe(Buffer.from(text, 'utf8').toString('latin1'))
        expect(textFromUtf8(utf8FromText(text)!)).toBe(text)
      }),
      { seed: 1, numRuns: 2_000 },
    )
  })

  test('text with a lone surrogate has no form', () => {
    for (const text of ['\ud800', 'a\udc00b', '\udc00\ud800', '\ud83d\ud83d\ude00']) {
      expect(utf8FromText(text)).toBeNull()
    }
    fc.assert(
      fc.property(units, (text) => {
        const lossless = Buffer.from(text, 'utf8').toString('utf8') === text
        expect(utf8FromText(text) !== null).toBe(lossless)
      }),
      { seed: 2, numRuns: 2_000 },
    )
  })

  test('bytes are read only if a strict decoder reads them, and as it does', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        let expected: string | null = null
        try {
          expected = strict.decode(Uint8Array.from(bytes))
        } catch {
          // The decoder refused them, so null it stays.
        }
        expect(textFromUtf8(String.fromCharCode(...bytes))).toBe(expected)
      }),
      { seed: 3, numRuns: 20_000 },
    )
    expect(textFromUtf8('\u0100')).toBeNull()
  })
})
