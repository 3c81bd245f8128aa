import { readUint56, writeUint56 } from '../codec/bytes.js'

// What the database keeps for itself, behind everything else, values empty: FF FF FF FF and the number of a sync (7 bytes, at most
// 53 bits); FF FF FF FF FF and the token of the disk (binary string).

const PREFIX_BYTES = 4
const NUMBER_BYTES = 7

export function markerKey(marker: number): Uint8Array {
  const key = new Uint8Array(PREFIX_BYTES + NUMBER_BYTES).fill(0xff, 0, PREFIX_BYTES)
  writeUint56(key, PREFIX_BYTES, marker)
  return key
}

export function markerOf(key: Uint8Array): number {
  return readUint56(key, PREFIX_BYTES)
}

/** Behind every marker, before every token. */
export const MARKERS_END = new Uint8Array(PREFIX_BYTES + 1).fill(0xff)

export function tokenKey(token: string): Uint8Array {
  return Buffer.concat([MARKERS_END, Buffer.from(token, 'latin1')])
}

export function tokenOf(key: Uint8Array): string {
  return Buffer.from(key.subarray(MARKERS_END.length)).toString('latin1')
}
