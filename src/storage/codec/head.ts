import type { ByteReader, ByteWriter } from './bytes.js'
import { UnknownFormatError } from './errors.js'

/**
 * How every stored payload begins: format (one byte), required flags (one byte), optional flags (one byte), then for
 * every optional flag that is set, lowest bit first, a field: length and bytes. A reader that does not know a required
 * flag stops; an optional field it does not know it skips.
 */
export const FORMAT = 1

/** Nothing is written under optional flags yet. */
export function writeHead(writer: ByteWriter, requiredFlags: number): void {
  writer.uint8(FORMAT)
  writeFlags(writer, requiredFlags)
}

export function writeFlags(writer: ByteWriter, requiredFlags: number): void {
  writer.uint8(requiredFlags)
  writer.uint8(0)
}

export function readHead(reader: ByteReader, what: string, knownFlags: number): number {
  readFormat(reader, what)
  return readFlags(reader, what, knownFlags)
}

export function readFormat(reader: ByteReader, what: string): void {
  const format = reader.uint8()
  if (format !== FORMAT)
    throw new UnknownFormatError(`${what} of format ${format}, this program reads format ${FORMAT}`)
}

/** Returns the required flags. */
export function readFlags(reader: ByteReader, what: string, knownFlags: number): number {
  const required = reader.uint8()
  let optional = reader.uint8()
  if ((required & ~knownFlags) !== 0) {
    throw new UnknownFormatError(
      `${what} with required flags 0x${required.toString(16)}, known are 0x${knownFlags.toString(16)}`,
    )
  }
  for (; optional !== 0; optional &= optional - 1) reader.blobView()
  return required
}
