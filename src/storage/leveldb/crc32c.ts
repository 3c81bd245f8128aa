/** Castagnoli's polynomial, reflected. zlib has another. */
const POLYNOMIAL = 0x82f6_3b78
const MASK_DELTA = 0xa282_ead8

/** Eight tables, so that eight bytes are taken at once (Kounavis and Berry, "slicing by 8"). */
const tables = new Int32Array(8 * 256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  tables[byte] = crc
}
for (let at = 256; at < tables.length; at++) {
  const before = tables[at - 256]!
  tables[at] = (before >>> 8) ^ tables[before & 0xff]!
}

/** As LevelDB stores it: rotated and shifted, because a checksum over bytes that hold checksums proves little. */
export function maskedCrc32c(bytes: Uint8Array, from: number, end: number): number {
  const crc = crc32c(bytes, from, end)
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0
}

export function crc32c(bytes: Uint8Array, from: number, end: number): number {
  let crc = -1
  let at = from
  for (; at + 8 <= end; at += 8) {
    const low = crc ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24))
    crc =
      tables[1792 + (low & 0xff)]! ^
      tables[1536 + ((low >>> 8) & 0xff)]! ^
      tables[1280 + ((low >>> 16) & 0xff)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[at + 4]!]! ^
      tables[512 + bytes[at + 5]!]! ^
      tables[256 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[at]!) & 0xff]!
  return ~crc >>> 0
}
