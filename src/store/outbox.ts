import type { NodeId } from '../base/ids.js'
import type { Reply, ReplySink } from '../kv/requests.js'
import type { PeerMessage, PeerTransport } from './ports.js'

/** What leaves the node at the end of a turn: one frame per peer, one message per client connection. */
export class Outbox {
  readonly #messages = new Map<NodeId, PeerMessage[]>()
  readonly #replies = new Map<ReplySink, Reply[]>()

  message(to: NodeId, message: PeerMessage): void {
    const list = this.#messages.get(to)
    if (list === undefined) this.#messages.set(to, [message])
    else list.push(message)
  }

  get hasMessages(): boolean {
    return this.#messages.size > 0
  }

  reply(sink: ReplySink, reply: Reply): void {
    const list = this.#replies.get(sink)
    if (list === undefined) this.#replies.set(sink, [reply])
    else list.push(reply)
  }

  flushMessages(transport: PeerTransport): void {
    if (this.#messages.size === 0) return
    for (const [to, messages] of this.#messages) transport.send(to, messages)
    this.#messages.clear()
  }

  flushReplies(): void {
    if (this.#replies.size === 0) return
    for (const [sink, replies] of this.#replies) sink.replies(replies)
    this.#replies.clear()
  }
}
