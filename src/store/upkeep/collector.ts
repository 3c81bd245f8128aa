import type { Span } from '../../base/descriptor.js'
import type { RangeId, StorageId, Version } from '../../base/ids.js'
import type { Bookkeeping } from '../../kv/types.js'
import { isValid } from '../../range/span.js'
import type { StateStore } from '../../storage/types.js'
import type { Replica } from '../replica.js'

interface Pass {
  readonly storage: StorageId
  readonly span: Span
}

/**
 * Deletes what no read may see any more: one range at a time, one bounded pass after the other, in the background. It goes by the
 * floor as of D, the last checkpoint in our log: what replay may still need to see is left alone.
 */
export class Collector {
  readonly #state: Pick<StateStore, 'collect' | 'collectJournal'>
  readonly #replicas: ReadonlyMap<RangeId, Replica>
  /** Up to which floor a range's values and a range's journal were collected in this life. */
  readonly #done = new Map<RangeId, Version>()
  readonly #journalDone = new Map<RangeId, Version>()
  #running = false

  constructor(state: Pick<StateStore, 'collect' | 'collectJournal'>, replicas: ReadonlyMap<RangeId, Replica>) {
    this.#state = state
    this.#replicas = replicas
  }

  /** Starts going through the ranges, unless it still does. */
  look(): void {
    if (!this.#running) this.#next()
  }

  #next(): void {
    this.#running = true
    for (const replica of this.#replicas.values()) {
      const durable = replica.durable
      if (durable === null || !replica.hasState) continue
      if ((this.#done.get(replica.range) ?? 0) >= durable.collectionFloor) continue
      this.#done.set(replica.range, durable.collectionFloor)
      return this.#collect(replica, durable)
    }
    for (const [range, upTo] of this.#journals()) {
      if ((this.#journalDone.get(range) ?? 0) >= upTo) continue
      this.#journalDone.set(range, upTo)
      return this.#collectJournal(range, upTo)
    }
    this.#running = false
  }

  #collect(replica: Replica, durable: Bookkeeping): void {
    const passes: Pass[] = replica.storages.map(({ storage, span }) => ({ storage, span }))
    const next = (): void => {
      const pass = passes.shift()
      if (pass === undefined) return this.#next()
      // Its state was replaced meanwhile: what is left of the old one goes as a whole.
      if (!replica.storages.some(({ storage }) => storage === pass.storage)) return next()
      this.#state.collect({ ...pass, floor: durable.collectionFloor, durable: durable.clock }, (_, from) => {
        const rest = from === null ? null : { start: from, end: pass.span.end }
        if (rest !== null && isValid(rest)) passes.unshift({ storage: pass.storage, span: rest })
        next()
      })
    }
    next()
  }

  /** A replica that came meanwhile, by a split or a snapshot, may need what the passes before it did not reach. */
  #collectJournal(range: RangeId, upTo: Version): void {
    this.#state.collectJournal({ range, upTo }, (_, more) => {
      if (more && (this.#journals().get(range) ?? 0) >= upTo) this.#collectJournal(range, upTo)
      else this.#next()
    })
  }

  /**
   * How far the journal of each range may go: nobody who lives here, the range itself or one that was cut from it, may need a
   * record of it to rebuild its sessions.
   */
  #journals(): ReadonlyMap<RangeId, Version> {
    const upTo = new Map<RangeId, Version>()
    for (const { range, durable, lineage } of this.#replicas.values()) {
      const own = durable === null ? 0 : Math.max(0, Math.min(durable.sessionFloor, durable.collectionFloor) - 1)
      for (const each of [range, ...lineage.map((piece) => piece.range)]) {
        upTo.set(each, Math.min(upTo.get(each) ?? Number.POSITIVE_INFINITY, own) as Version)
      }
    }
    return upTo
  }
}
