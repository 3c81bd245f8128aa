import type { NodeId, ReplicaId } from '../../base/ids.js'

/** A replica counts as gone once its node has said so for this long. */
const SURE_AFTER_MS = 1_000
/** What was not said again for this long is forgotten: a late copy of an old answer proves nothing. */
const STALE_AFTER_MS = 1_000

interface Vacancy {
  readonly node: NodeId
  readonly nonce: number
  readonly sinceMs: number
  heardMs: number
}

/** What the leader of a range was told about replicas that are gone, in its term. */
export class Vacancies {
  readonly #vacancies = new Map<ReplicaId, Vacancy>()
  /** For ids that this leader gave: with which nonce their node makes them. */
  readonly #nonces = new Map<ReplicaId, number>()

  heard(replica: ReplicaId, { node, nonce, nowMs }: { node: NodeId; nonce: number; nowMs: number }): void {
    const known = this.#vacancies.get(replica)
    const goesOn = known?.nonce === nonce && known.node === node && nowMs - known.heardMs <= STALE_AFTER_MS
    if (goesOn) known.heardMs = nowMs
    else this.#vacancies.set(replica, { node, nonce, sinceMs: nowMs, heardMs: nowMs })
  }

  isGone(replica: ReplicaId, nowMs: number): boolean {
    const known = this.#vacancies.get(replica)
    if (known === undefined || nowMs - known.heardMs > STALE_AFTER_MS) return false
    return nowMs - known.sinceMs >= SURE_AFTER_MS
  }

  /** The new id stands in for one that is gone: its node makes it on showing the nonce it gave for that one. */
  placed({ replica, for: gone }: { replica: ReplicaId; for: ReplicaId }): void {
    const vacancy = this.#vacancies.get(gone)
    if (vacancy !== undefined) this.#nonces.set(replica, vacancy.nonce)
    this.#vacancies.delete(gone)
  }

  nonceFor(replica: ReplicaId): number | null {
    return this.#nonces.get(replica) ?? null
  }
}
