import type { SessionId } from '../base/ids.js'
import type { Clock, Random } from '../base/ports.js'
import type { Connector } from './ports.js'

export interface ClientCoreOptions {
  readonly connector: Connector
  /** host:port of one or more nodes; the others are learned from them. */
  readonly endpoints: readonly string[]
  readonly clock: Clock
  readonly random: Random
  /** Milliseconds, for calls that name no deadline of their own. */
  readonly defaultDeadlineMs: number
  newSessionId(): SessionId
}
