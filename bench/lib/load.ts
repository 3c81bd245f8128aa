import { build, type Histogram } from 'hdr-histogram-js'

export interface KeyValue {
  put(key: string, value: Uint8Array): PromiseLike<unknown>
  get(key: string): PromiseLike<unknown>
}

export interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export const KEY_COUNT = 20_000
export const VALUE = new Uint8Array(256).fill(7)
/** 16 bytes. */
export const keyAt = (n: number): string => `key${String(n % KEY_COUNT).padStart(13, '0')}`

/** `callers` loops in this process, each with one call open, for `seconds`. */
export async function measure(
  client: KeyValue,
  load: { op: 'put' | 'get'; callers: number; seconds: number },
): Promise<Measured> {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 60_000_000,
    numberOfSignificantValueDigits: 3,
  })
  const call = load.op === 'put' ? (key: string) => client.put(key, VALUE) : (key: string) => client.get(key)
  await drive(call, { ...load, seconds: Math.min(1, load.seconds / 3) }, null)
  const { calls, seconds } = await drive(call, load, histogram)
  const at = (percentile: number): number => Math.round(histogram.getValueAtPercentile(percentile) / 10) / 100
  return { perSecond: Math.round(calls / seconds), p50Ms: at(50), p99Ms: at(99) }
}

async function drive(
  call: (key: string) => PromiseLike<unknown>,
  load: { callers: number; seconds: number },
  histogram: Histogram | null,
): Promise<{ calls: number; seconds: number }> {
  const begin = performance.now()
  const until = begin + load.seconds * 1_000
  let calls = 0
  let next = 0
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < until; ) {
      await call(keyAt(next++ * 7_919))
      const after = performance.now()
      histogram?.recordValue(Math.max(1, Math.round((after - now) * 1_000)))
      calls++
      now = after
    }
  }
  await Promise.all(Array.from({ length: load.callers }, caller))
  return { calls, seconds: (performance.now() - begin) / 1_000 }
}

/** So that every get finds something. */
export async function fill(client: KeyValue): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < KEY_COUNT) await client.put(keyAt(next++), VALUE)
  }
  await Promise.all(Array.from({ length: 256 }, caller))
}
