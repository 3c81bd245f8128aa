import { describe, expect, it } from 'vitest'
import type { LogIndex, RangeId } from '../../src/base/ids.js'
import { neverBuggify } from '../../src/base/ports.js'
import type { NodeLog, StateStore } from '../../src/storage/types.js'
import type { LogWriter } from '../../src/store/log-writer.js'
import type { Replica } from '../../src/store/replica.js'
import { StateSync } from '../../src/store/state-sync.js'

function replicaOf(range: number) {
  return {
    range: range as RangeId,
    incarnation: 0,
    hasState: true,
    truncatable: { applied: 5 as LogIndex, allPersisted: 5 as LogIndex, keptAbove: () => 0 },
    needsCheckpoint: () => true,
    checkpoint: () => ({ range }),
    checkpointLeaves: () => {},
    checkpointWritten() {
      this.written++
    },
    written: 0,
  }
}

function parts() {
  const replicas = new Map([2, 3, 4].map((range) => [range as RangeId, replicaOf(range)]))
  const written: number[][] = []
  let synced: () => void = () => {}
  let durable: () => void = () => {}
  const stateSync = new StateSync({
    log: { appendedBytes: 0 } as NodeLog,
    state: { marker: 9, sync: (done: () => void) => (synced = done) } as unknown as StateStore,
    writer: {
      node: () => {},
      checkpoints: (list: readonly { range: RangeId }[], done: () => void) => {
        written.push(list.map(({ range }) => range))
        durable = done
      },
    } as unknown as LogWriter,
    replicas: replicas as unknown as ReadonlyMap<RangeId, Replica>,
    wake: () => {},
    buggify: neverBuggify,
    keptBytesMax: 1_000,
    pinned: () => null,
  })
  return { stateSync, replicas, written, synced: () => synced(), durable: () => durable() }
}

describe('a state sync', () => {
  it('a checkpoint pictured before a snapshot was installed is not written after it, nor that of a replica that is gone', () => {
    const { stateSync, replicas, written, synced } = parts()
    stateSync.start(() => {})
    replicas.get(3 as RangeId)!.incarnation++
    replicas.delete(4 as RangeId)
    synced()
    expect(written).toEqual([[2]])
  })

  it('is due at once after a split, whose child has no checkpoint before it', () => {
    const { stateSync, written, synced, durable } = parts()
    expect(stateSync.maybeStart(1_000)).toBe(false)
    stateSync.wantForChild()
    expect(stateSync.maybeStart(1_000)).toBe(true)
    synced()
    durable()
    expect([written, stateSync.maybeStart(1_000)]).toEqual([[[2, 3, 4]], false])
  })

  it('nor believed, if that happened while it was being written', () => {
    const { stateSync, replicas, synced, durable } = parts()
    stateSync.start(() => {})
    synced()
    const [two, three] = [replicas.get(2 as RangeId)!, replicas.get(3 as RangeId)!]
    three.incarnation++
    durable()
    expect([two.written, three.written]).toEqual([1, 0])
  })
})
