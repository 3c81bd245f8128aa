import type { Tally } from '../history.js'

/** What a run must have done to prove something. */
export interface Bars {
  /** Seconds in which a fault was in force. */
  readonly faultSeconds: number
  readonly ok: number
  /** So many keys had at least `okPerKey` operations that ended well. */
  readonly keys: number
  readonly okPerKey: number
  /** Of all operations, how many are reads; of writes, how many have an outcome that nobody knows. 0 to 1. */
  readonly readShare: number
  readonly unknownShare: number
  /** A run that has not got there by then is undecided. */
  readonly secondsMax: number
}

/** What still misses; empty: it proves enough. `unseen`: nemeses that never took effect. */
export function missing(bars: Bars, done: { faultSeconds: number; tally: Tally; unseen: readonly string[] }): string[] {
  const { faultSeconds, tally, unseen } = done
  const { ok, reads, writes, unknown, okByKey } = tally
  const keys = [...okByKey.values()].filter((count) => count >= bars.okPerKey).length
  const lines: [boolean, string][] = [
    [faultSeconds >= bars.faultSeconds, `${faultSeconds.toFixed(1)} of ${bars.faultSeconds} s of faults`],
    [ok >= bars.ok, `${ok} of ${bars.ok} operations ok`],
    [keys >= bars.keys, `${keys} of ${bars.keys} keys with ${bars.okPerKey} operations ok`],
    [
      reads >= bars.readShare * (reads + writes),
      `${percent(reads, reads + writes)} of ${bars.readShare * 100} % reads`,
    ],
    [
      unknown >= bars.unknownShare * writes,
      `${percent(unknown, writes)} of ${bars.unknownShare * 100} % writes unknown`,
    ],
  ]
  const lacking = lines.filter(([isReached]) => !isReached).map(([, line]) => line)
  return [...lacking, ...unseen.map((nemesis) => `${nemesis} never took effect`)]
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0' : ((100 * part) / whole).toFixed(1)
}
