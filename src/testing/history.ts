import type { Span } from '../base/descriptor.js'
import type { Version } from '../base/ids.js'
import type { Row } from '../kv/requests.js'
import type { Operation } from './linearizability.js'

type Untimed<T> = T extends Operation ? Omit<T, 'client' | 'invoke' | 'complete' | 'status'> : never

/** What a call did to one key. `version`: under which it found or wrote it; 0: nothing is there; left out: it was not told. */
export type Call = Untimed<Operation> & { readonly version?: Version }

export type EndedCall = Operation & { readonly version?: Version }

/** A read that saw all its keys at one moment; 'goes on': the moment of the view before, of the same client. */
export type View = boolean | 'goes on'

export interface HistoryObserver {
  /** One call ended, of one or several keys. */
  ended(calls: readonly EndedCall[], isOneView: View): void
  /** Any replica answered these: they need not be the newest, but no older than what the client had seen, unless `seen` is null. */
  followed(reads: readonly FollowedRead[], seen: Version | null): void
  /** A page of a scan. */
  scanned(page: ScannedPage): void
}

export interface ScannedPage {
  readonly client: number | string
  /** What it covers, whole. */
  readonly span: Span
  /** The version that it shows: its own of the first page within a range, that one's of those that follow. */
  readonly at: Version
  readonly rows: readonly Row[]
  /** The rows have no values. */
  readonly keysOnly: boolean
  /** Any replica answered it, and the client had seen this: it shows no less. */
  readonly seen: Version | null
}

export interface FollowedRead {
  readonly client: number | string
  readonly key: string
  readonly result: string | null
  /** Under which it was found; 0: nothing is there. */
  readonly version: Version
}

/** What clients did, in the order in which they did it. */
export class History {
  readonly operations: Operation[] = []
  readonly #observer: HistoryObserver | null
  #moment = 0
  #acknowledged = 0
  #unknown = 0

  constructor(observer: HistoryObserver | null = null) {
    this.#observer = observer
  }

  /** Operations that succeeded. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Writes whose outcome nobody knows. */
  get unknown(): number {
    return this.#unknown
  }

  /** The next place on the real-time line: for the moment at which a call begins. */
  moment(): number {
    return ++this.#moment
  }

  /** Any replica answered a read of these. They are no part of the history: another order holds for them. */
  followed(reads: readonly FollowedRead[], seen: Version | null): void {
    this.#acknowledged++
    this.#observer?.followed(reads, seen)
  }

  /** Part of a scan that goes on, or went on. */
  scanned(page: ScannedPage): void {
    this.#observer?.scanned(page)
  }

  /** One call ended now; it did `calls`, of one key each. */
  ended(
    client: number,
    invoke: number,
    status: Operation['status'],
    calls: readonly Call[],
    isOneView: View = false,
  ): void {
    if (status === 'ok') this.#acknowledged++
    if (status === 'info') this.#unknown++
    const complete = this.moment()
    const ended = calls.map((call) => ({ ...call, client, invoke, complete, status }) as EndedCall)
    this.operations.push(...ended)
    this.#observer?.ended(ended, isOneView)
  }
}
