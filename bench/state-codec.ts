// Prints what encoding and decoding an entry costs per command, beside msgpackr on the same arrays.
// node dist/bench/state-codec.js
import { Packr } from 'msgpackr'
import type { Generation, Key, SessionId, Version } from '../src/base/ids.js'
import type { Command } from '../src/kv/types.js'
import { recordDigest } from '../src/storage/codec/digest.js'
import { decodeCommands, encodeCommands } from '../src/storage/codec/entry.js'

const packr = new Packr({ useRecords: false, variableMapSize: true })
const value = new Uint8Array(256).fill(7)

function commandsOf(count: number): readonly Command[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'write' as const,
    version: (3e15 + i) as Version,
    origin: {
      session: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId,
      sequence: 1000 + i,
      firstSent: 3e15 as Version,
      lowest: 900 + i,
    },
    generation: 3 as Generation,
    conditions: [],
    writes: [
      {
        kind: 'put' as const,
        key: `\0\0\0\x10key-${String(i).padStart(12, '0')}` as Key,
        codec: 'msgpack' as const,
        value,
      },
    ],
    wantValue: false,
  }))
}

function asArrays(commands: readonly Command[]): unknown[] {
  return commands.map((command) => {
    if (command.kind !== 'write') return []
    const { origin } = command
    const writes = command.writes.map((write) =>
      write.kind === 'put' ? [0, write.key, 3, write.value] : [1, write.key],
    )
    return [1, command.version, origin && [0, origin.sequence, origin.firstSent, origin.lowest], 3, [], writes, false]
  })
}

function nsPer(things: number, action: () => void): number {
  for (let i = 0; i < 20_000 / things; i++) action()
  // Short rounds, the median of many: other processes share the cores.
  const rounds = []
  for (let round = 0; round < 1000; round++) {
    const times = Math.ceil(200 / things)
    const start = process.hrtime.bigint()
    for (let i = 0; i < times; i++) action()
    rounds.push(Number(process.hrtime.bigint() - start) / times / things)
  }
  return Math.round(rounds.sort((a, b) => a - b)[500]!)
}

const rows = []
for (const count of [1, 100]) {
  const commands = commandsOf(count)
  const payload = encodeCommands(commands)
  const packed = Buffer.from(packr.pack(asArrays(commands)))
  rows.push({
    commands: count,
    bytes: Math.round(payload.length / count),
    encodeNs: nsPer(count, () => encodeCommands(commands)),
    decodeNs: nsPer(count, () => decodeCommands(payload)),
    msgpackEncodeNs: nsPer(count, () => Buffer.from(packr.pack(asArrays(commands)))),
    msgpackDecodeNs: nsPer(count, () => packr.unpack(packed)),
  })
}
console.table(rows)
const record = { key: '\0\0\0\x10key-000000000001' as Key, version: 3e15 as Version, codec: 'bytes' as const, value }
console.log(`recordDigest ${nsPer(1, () => recordDigest(record))} ns`)
