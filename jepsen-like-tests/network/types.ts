import type { Scope } from '../command.js'
import type { NodePlace, NodeProcess } from '../processes.js'

/** A node by its number, from 1, or everybody who is a client. */
export type Host = number | 'clients'

/** What is sent `from` one `to` the other gets lost. */
export interface Block {
  readonly from: Host
  readonly to: Host
}

/** What is wrong with the network. Replaces what was wrong before; `calm` heals it. */
export interface Trouble {
  readonly blocks: readonly Block[]
  /** Of a hundred packets at every node. */
  readonly lossPercent: number
  /**
   * What is on its way to a node or back waits this long, and up to `jitterMs` longer, each connection and direction by another time,
   * which changes: messages on different connections overtake each other.
   */
  readonly delayMs: number
  readonly jitterMs: number
}

export const calm: Trouble = { blocks: [], lossPercent: 0, delayMs: 0, jitterMs: 0 }

export interface NetworkOptions {
  /** What it is made of is taken down with it. */
  readonly scope: Scope
  readonly nodes: number
  /** The only source of chance. From 0 to 1, without 1. */
  readonly random: () => number
}

/** How the nodes of a cluster are connected with each other and with clients, and how that can be disturbed. */
export interface Network {
  /** For a person. */
  readonly kind: string
  /** Why it can't cut anybody off; null: it can. */
  readonly noBlocks: string | null
  /** Why it can't lose single packets; null: it can. */
  readonly noLoss: string | null
  /** Why it can't delay; null: it can. */
  readonly noDelay: string | null
  /** Where a node is to live: its addresses, and what its command line begins with. */
  place(number: number): NodePlace
  /** Who lives there, once that is known. */
  attach(nodes: readonly NodeProcess[]): void
  impose(trouble: Trouble): Promise<void>
}
