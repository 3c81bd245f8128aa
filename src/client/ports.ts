import type { Reply, Request, ServerHello } from '../kv/requests.js'

/** One long-lived stream to one node. */
export interface ClientConnection {
  /** All requests of one tick in one message (cut into frames where too large). Only after onOpen. */
  send(requests: readonly Request[]): void
  close(): void
}

export interface ConnectionEvents {
  onOpen(hello: ServerHello): void
  onReplies(replies: readonly Reply[]): void
  /** Anything came from the node, if only the answer to a ping: it lives, though it may owe answers. */
  onAlive?(): void
  /** At most once; nothing is called after it. What was sent and not answered may have been executed. */
  onClose(error: Error): void
}

/** Real: transport's client half over grpc-js. Simulated: testing's network. */
export interface Connector {
  /** `address` is host:port. Starts to connect at once. */
  connect(address: string, events: ConnectionEvents): ClientConnection
}
