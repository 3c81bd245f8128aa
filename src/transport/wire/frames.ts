import { limits } from '../../base/limits.js'
import { Writer } from './writer.js'

/** One for all: encoding never awaits, so nothing can come in between. */
const scratch = new Writer()

/** Encodes one message. */
export function encode(write: (writer: Writer) => void): Buffer {
  scratch.reset()
  write(scratch)
  return scratch.take()
}

/**
 * Encodes items into frames of at most limits.frameBytesMax; an item that is larger travels alone. `header` begins every
 * frame. `write` may change its mind about an item by rewinding to where it began.
 */
export function encodeFrames<Item>(
  items: readonly Item[],
  write: (writer: Writer, item: Item) => void,
  header?: (writer: Writer) => void,
): Buffer[] {
  const frames: Buffer[] = []
  scratch.reset()
  header?.(scratch)
  const empty = scratch.length
  for (const item of items) {
    const before = scratch.length
    write(scratch, item)
    if (scratch.length <= limits.frameBytesMax || before === empty) continue
    scratch.rewind(before)
    frames.push(scratch.take())
    header?.(scratch)
    write(scratch, item)
  }
  if (scratch.length > empty) frames.push(scratch.take())
  return frames
}
