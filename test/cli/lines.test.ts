import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Line, readLines } from '../../cli/lines.js'
import { times } from '../property.js'

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function collect(text: string, size: number): Promise<Line[]> {
  const lines: Line[] = []
  for await (const line of readLines(chunked(Buffer.from(text), size))) lines.push(line)
  return lines
}

describe('readLines', () => {
  it('finds the same lines however the stream is cut', async () => {
    const texts = fc.array(fc.constantFrom('', 'a', '{"key":"ü€😀"}', 'b\r'), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), fc.boolean(), async (parts, size, ended) => {
        const text = parts.join('\n') + (ended ? '\n' : '')
        const expected = text
          .split('\n')
          .map((line, index) => ({ text: line.replace(/\r$/, ''), number: index + 1 }))
          .filter((line) => line.text !== '')
        expect(await collect(text, size)).toEqual(expected)
      }),
      times(300, 1),
    )
  })

  it('refuses a line without end, by its number, in bounded memory', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{}\n')
      for (;;) yield Buffer.alloc(1024 * 1024, 0x61)
    }
    const read = async () => {
      for await (const line of readLines(endless())) expect(line.text).toBe('{}')
    }
    await expect(read()).rejects.toMatchObject({ code: 'TOO_LARGE', message: expect.stringContaining('line 2') })
  })
})
