import { HoldfastError } from '../src/base/errors.js'

/** Largest line taken in: a value and a key at their limits, in base64 and escapes. */
const LINE_BYTES_MAX = 8 * 1024 * 1024
const NEWLINE = 10

export interface Line {
  readonly text: string
  /** From 1. */
  readonly number: number
}

/** Lines of a byte stream that are not empty, in bounded memory. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  let number = 0
  const finish = (last: Uint8Array): Line => {
    number += 1
    const text = Buffer.concat([...pending, last]).toString('utf8')
    pending = []
    pendingBytes = 0
    return { text: text.endsWith('\r') ? text.slice(0, -1) : text, number }
  }
  for await (const chunk of chunks) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      const line = finish(chunk.subarray(from, at))
      from = at + 1
      if (line.text !== '') yield line
    }
    pending.push(chunk.subarray(from))
    pendingBytes += chunk.length - from
    if (pendingBytes > LINE_BYTES_MAX) {
      throw new HoldfastError('TOO_LARGE', `line ${number + 1} is longer than ${LINE_BYTES_MAX} bytes`)
    }
  }
  if (pendingBytes > 0) {
    const line = finish(new Uint8Array(0))
    if (line.text !== '') yield line
  }
}
