import { ClassicLevel } from 'classic-level'
import type { ChurnOptions } from './churn.js'

const SNAPSHOTS = 100
const VALUE_BYTES_MIN = 1_000

type Snapshot = ReturnType<ClassicLevel['snapshot']>

/**
 * The control of `churn`: one physical key per key, overwritten and deleted in place, with snapshots open. Compactions keep versions for the
 * snapshots, cut them into two tables, and later move the newer one below the older: keys come back, or vanish.
 */
export async function overwrite(options: ChurnOptions): Promise<number> {
  const { directory, batches, keys, checkEvery, onCheck } = options
  const db = new ClassicLevel(directory, { compression: false })
  await db.open()
  let seed = 7
  const below = (bound: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * bound)
  }
  const padding = 'x'.repeat(2 * VALUE_BYTES_MIN)
  const model = new Map<string, string>()
  const snapshots: (Snapshot | null)[] = new Array(SNAPSHOTS).fill(null)
  let [lost, collected, reads] = [0, 0, 0]
  for (let i = 1; i <= batches; i++) {
    const key = `k${below(keys)}`
    const existed = model.delete(key)
    const batch = db.batch()
    if (existed) {
      batch.del(key)
      collected++
    }
    if (!existed || below(2) === 1) {
      const value = `v${i}${padding.slice(0, VALUE_BYTES_MIN + below(VALUE_BYTES_MIN))}`
      batch.put(key, value)
      model.set(key, value)
    }
    await batch.write()
    if (below(10) === 0) {
      const slot = below(SNAPSHOTS)
      await snapshots[slot]?.close()
      snapshots[slot] = db.snapshot()
    }
    if (i % checkEvery !== 0 && i !== batches) continue
    for (let j = 0; j < keys; j++, reads++) if (db.getSync(`k${j}`) !== model.get(`k${j}`)) lost++
    onCheck({ batches: i, lost, collected, reads })
  }
  await Promise.all(snapshots.map((snapshot) => snapshot?.close()))
  await db.close()
  return lost
}
