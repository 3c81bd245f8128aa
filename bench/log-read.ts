// node dist/bench/log-read.js
// What it costs the loop to read old entries back from the log: 1 MiB of 300 B entries, from the page cache, verified.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogIndex, RangeId, Term, Version } from '../src/base/ids.js'
import { silentLogger } from '../src/base/ports.js'
import { realClock } from '../src/server/real-ports.js'
import { openNodeFiles } from '../src/storage/files-node.js'
import { openNodeLog } from '../src/storage/log/log.js'

const ENTRY_BYTES = 300
const ENTRIES = 20_000
const MiB = 1024 * 1024

const directory = await mkdtemp(join(tmpdir(), 'log-read-'))
const files = await openNodeFiles(directory)
const fatal = (reason: string): never => {
  throw new Error(reason)
}
const log = await openNodeLog({ files, segmentBytes: 32 * MiB, clock: realClock, fatal, logger: silentLogger })
const range = 2 as RangeId
const entries = Array.from({ length: ENTRIES }, (_, at) => ({
  index: (at + 1) as LogIndex,
  term: 1 as Term,
  timestamp: (at + 1) as Version,
  kind: 'commands' as const,
  payload: new Uint8Array(ENTRY_BYTES).fill(at),
}))
await new Promise<void>((resolve) => log.append([{ kind: 'entries', range, entries }], resolve))
const reader = log.reader(range)
const times: number[] = []
for (let round = 0; round < 50; round++) {
  const from = (1 + ((round * 311) % 10_000)) as LogIndex
  const begin = performance.now()
  const read = reader.entries({ from, to: ENTRIES as LogIndex, bytesMax: MiB })
  times.push(performance.now() - begin)
  if (read.length < 3_000) fatal(`read ${read.length} entries only`)
}
times.sort((a, b) => a - b)
console.log(
  `1 MiB in entries of ${ENTRY_BYTES} B: median ${times[25]!.toFixed(2)} ms, worst of 50 ${times.at(-1)!.toFixed(2)} ms`,
)
await log.close()
await files.close()
await rm(directory, { recursive: true })
