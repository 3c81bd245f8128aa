import { maskedCrc32c } from './crc32c.js'
import { readUint32 } from './varint.js'

// LevelDB's log files and MANIFEST (its doc/log_format.md): blocks of 32 KiB of pieces, each with masked crc32c (4) of type and data,
// length (2), type (1: full, 2: first, 3: middle, 4: last), data. Less than 7 bytes at a block's end are zero.

const BLOCK_BYTES = 32_768
const HEADER_BYTES = 7
const TYPE_AT = 6
const FULL = 1
const FIRST = 2
const MIDDLE = 3
const LAST = 4

export type LogPiece =
  | { readonly kind: 'record'; readonly bytes: Uint8Array }
  /** LevelDB skips, without a word, to the next block, or to the end. */
  | { readonly kind: 'bad'; readonly what: string }

/** All records of a file in order, and between them what is none. */
export function* readLogFile(file: Uint8Array): Generator<LogPiece> {
  let begun: Uint8Array[] | null = null
  for (let at = 0; at < file.length; ) {
    const blockEnd = Math.min(file.length, at - (at % BLOCK_BYTES) + BLOCK_BYTES)
    if (BLOCK_BYTES - (at % BLOCK_BYTES) < HEADER_BYTES) {
      at = blockEnd
      continue
    }
    const what = badPiece(file, at, blockEnd)
    if (what !== null) {
      yield { kind: 'bad', what: `${what} at ${at}` }
      begun = null
      at = blockEnd
      continue
    }
    const type = file[at + TYPE_AT]!
    const length = lengthAt(file, at)
    const data = file.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length)
    if ((type === FULL || type === FIRST) !== (begun === null)) {
      yield { kind: 'bad', what: `a piece of a record without the others at ${at}` }
      if (type !== FULL && type !== FIRST) begun = null
    }
    at += HEADER_BYTES + length
    if (type === FULL) {
      begun = null
      yield { kind: 'record', bytes: data }
    } else if (type === FIRST) begun = [data]
    else if (begun !== null) {
      begun.push(data)
      if (type !== LAST) continue
      yield { kind: 'record', bytes: Buffer.concat(begun) }
      begun = null
    }
  }
  if (begun !== null) yield { kind: 'bad', what: 'the last record ends early' }
}

function badPiece(file: Uint8Array, at: number, blockEnd: number): string | null {
  if (at + HEADER_BYTES > blockEnd) return 'a header ends early'
  const end = at + HEADER_BYTES + lengthAt(file, at)
  if (end > blockEnd) return 'a piece is longer than its block'
  const type = file[at + TYPE_AT]!
  if (type < FULL || type > LAST) return `a piece of type ${type}`
  return maskedCrc32c(file, at + TYPE_AT, end) === readUint32(file, at) ? null : 'a wrong checksum'
}

function lengthAt(file: Uint8Array, at: number): number {
  return file[at + 4]! | (file[at + 5]! << 8)
}

/** A file of one record. */
export function writeLogFile(record: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = []
  const room = BLOCK_BYTES - HEADER_BYTES
  for (let from = 0; from === 0 || from < record.length; from += room) {
    const data = record.subarray(from, from + room)
    const isLast = from + room >= record.length
    const piece = Buffer.alloc(HEADER_BYTES + data.length)
    piece.writeUInt16LE(data.length, 4)
    piece[TYPE_AT] = from === 0 ? (isLast ? FULL : FIRST) : isLast ? LAST : MIDDLE
    piece.set(data, HEADER_BYTES)
    piece.writeUInt32LE(maskedCrc32c(piece, TYPE_AT, piece.length), 0)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
