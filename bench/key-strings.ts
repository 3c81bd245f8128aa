// node dist/bench/key-strings.js
// What it costs to hold a key as a binary string: conversion at the edges, map look-ups and comparisons against bytes.
const KEYS = 100_000
const ROUNDS = 20

const buffers = Array.from({ length: KEYS }, (_, at) =>
  Buffer.from(`\0\0\0\x10key${String(at).padStart(13, '0')}`, 'latin1'),
)
const strings = buffers.map((buffer) => buffer.toString('latin1'))
const map = new Map(strings.map((key, at) => [key, at]))

function nanoseconds(name: string, action: (at: number) => number): void {
  let sink = 0
  for (let at = 0; at < KEYS; at++) sink += action(at)
  const begin = process.hrtime.bigint()
  for (let round = 0; round < ROUNDS; round++) for (let at = 0; at < KEYS; at++) sink += action(at)
  const each = Number(process.hrtime.bigint() - begin) / (ROUNDS * KEYS)
  console.log(`${name.padEnd(44)} ${each.toFixed(0).padStart(5)} ns${Number.isNaN(sink) ? ' ' : ''}`)
}

const next = (at: number): number => (at * 7_919) % KEYS
nanoseconds('bytes to binary string', (at) => buffers[at]!.toString('latin1').length)
nanoseconds('binary string to bytes', (at) => Buffer.from(strings[at]!, 'latin1').length)
nanoseconds('Map look-up by binary string, made just now', (at) => map.get(buffers[next(at)]!.toString('latin1'))!)
nanoseconds('Map look-up by hex of the bytes', (at) => map.get(buffers[next(at)]!.toString('hex')) ?? 0)
nanoseconds('compare two binary strings', (at) => (strings[at]! < strings[next(at)]! ? 1 : 0))
nanoseconds('compare two buffers', (at) => Buffer.compare(buffers[at]!, buffers[next(at)]!))
