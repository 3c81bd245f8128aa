import { DamagedError } from '../codec/errors.js'
import { readLogFile } from './log-format.js'
import { type Manifest, numbered, readWhole } from './manifest.js'
import { readBytes, readUint32 } from './varint.js'

const SEQUENCE_BYTES = 8
const HEAD_BYTES = 12
const PUT = 1

export interface LogCheck {
  /** The witness is in one of the log files; else it has to be in a table, and with it all that was written before it. */
  readonly found: boolean
  /** What is wrong before the witness. Behind it nothing is promised: replay writes it again. */
  readonly holes: readonly string[]
}

/**
 * Looks for holes in the log files that an opening would replay. LevelDB numbers every batch itself: a batch begins with the sequence
 * number of its first record and their count, and the next goes on where it ended, over all log files. So a batch that is missing shows,
 * whether its block has a wrong checksum, is zero, or its file has gone; LevelDB would leave it out and say nothing.
 *
 * `witness` is a key written behind all that must be there: the marker of the last state sync that our log knows of. What lies behind
 * it may have been torn by a power cut. If it is in no log file it is in a table, because memtables become tables whole and in
 * order; then so is all before it. Throws DamagedError for a log file that cannot be read, wherever in it: how much of it LevelDB would
 * take is not ours to say.
 */
export async function checkLogs(directory: string, manifest: Manifest, witness: Uint8Array | null): Promise<LogCheck> {
  const logs = (await numbered(directory, '.log')).filter(({ number }) => number >= manifest.logNumber)
  const problems: string[] = []
  // LevelDB syncs the directory before it counts on a new log file.
  if (manifest.logNumber > 0 && logs[0]?.number !== manifest.logNumber) {
    return { found: true, holes: [`log file ${manifest.logNumber} is gone`] }
  }
  let next: number | null = null
  let before: number | null = null
  for (const { path, number } of logs) {
    for (const piece of readLogFile(await readWhole(path))) {
      if (piece.kind === 'bad') {
        problems.push(`log file ${number}: ${piece.what}`)
        continue
      }
      try {
        const { sequence, count, has } = readBatch(piece.bytes, witness)
        // The first log file was begun at the latest when the MANIFEST got its last entry.
        const isNext = next === null ? sequence <= manifest.lastSequence + 1 : sequence === next
        if (!isNext) problems.push(`log file ${number}: what came before record ${sequence} is missing`)
        next = sequence + count
        if (has) before = problems.length
      } catch (error) {
        if (!(error instanceof DamagedError)) throw error
        problems.push(`log file ${number}: ${error.message}`)
      }
    }
  }
  return { found: before !== null, holes: problems.slice(0, before ?? 0) }
}

function readBatch(bytes: Uint8Array, witness: Uint8Array | null): { sequence: number; count: number; has: boolean } {
  if (bytes.length < HEAD_BYTES) throw new DamagedError('a batch ends early')
  const sequence = readUint32(bytes, 0) + readUint32(bytes, 4) * 0x1_0000_0000
  const count = readUint32(bytes, SEQUENCE_BYTES)
  let has = false
  let at = HEAD_BYTES
  for (let left = count; left > 0; left--) {
    const kind = bytes[at]
    const key = readBytes(bytes, at + 1)
    at = kind === PUT ? readBytes(bytes, key.end).end : key.end
    has ||= witness !== null && Buffer.compare(key.value, witness) === 0
  }
  return { sequence, count, has }
}
