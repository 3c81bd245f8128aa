import { describe, expect, it } from 'vitest'
import { ReplyMessages } from '../faults/reply-messages.js'
import { seeded } from '../random.js'

function frame(type: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

function message(bytes: number): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(bytes, 1)
  return Buffer.concat([prefix, Buffer.alloc(bytes, 0xee)])
}

/** Two streams; the second one's messages are cut across DATA frames, a prefix in its middle. */
const second = Buffer.concat([message(300), message(0), message(7)])
const wire = Buffer.concat([
  frame(4, 0, Buffer.alloc(18)),
  frame(1, 1, Buffer.alloc(40, 0)),
  frame(0, 1, message(10)),
  frame(0, 3, second.subarray(0, 302)),
  frame(0, 1, Buffer.concat([message(1), message(2)])),
  frame(0, 3, Buffer.alloc(0)),
  frame(0, 3, second.subarray(302, 307)),
  frame(8, 0, Buffer.alloc(4)),
  frame(0, 3, second.subarray(307)),
])
const EXPECTED = ['1.1', '3.1', '1.2', '1.3', '3.2', '3.3']

describe('gRPC messages in the bytes of an HTTP/2 connection', () => {
  it('are found once each, wherever the bytes are cut', () => {
    const random = seeded(7)
    for (let run = 0; run < 500; run++) {
      const messages = new ReplyMessages()
      const found: string[] = []
      for (let at = 0; at < wire.length; ) {
        const end = at + 1 + Math.floor(random() * random() * 200)
        messages.read(wire.subarray(at, end), ({ stream, number }) => {
          found.push(`${stream}.${number}`)
          return false
        })
        at = end
      }
      expect(found).toEqual(EXPECTED)
    }
  })

  it('reading stops at the one that is asked for, before any of its body', () => {
    const messages = new ReplyMessages()
    const at = messages.read(wire, ({ stream, number }) => stream === 3 && number === 1)
    expect(at).toBe(wire.indexOf(second.subarray(0, 10)))
  })
})
