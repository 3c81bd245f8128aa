import type { ClientConnection, ConnectionEvents, Connector } from '../client/ports.js'
import type { Reply, ReplySink, Request, ServerHello } from '../kv/requests.js'
import type { ClientTally } from './client-tally.js'
import { deepFreeze } from './freeze.js'
import type { Place, SimNetwork } from './network.js'
import type { SimProcess } from './process.js'
import type { Scheduler } from './scheduler.js'
import { Pipe } from './stream.js'

/** A node's listener for clients, as one process lifetime of the node offers it. */
export interface SimListener {
  readonly place: Place
  readonly process: SimProcess
  /** null: it does not serve yet. */
  hello(): ServerHello | null
  submit(requests: readonly Request[], sink: ReplySink): void
}

export interface ConnectorOptions {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  /** Where the client is, and the process it is. */
  readonly place: Place
  readonly process: SimProcess
  /** Who listens at an address now; null: nobody, the connection is refused. */
  listener(address: string): SimListener | null
  /** Frozen frames show who changes what was sent. Costs time. */
  readonly freeze: boolean
  /** A connection on which something is stuck, or that does not open, is closed after this, in milliseconds. */
  readonly silenceMs: number
  readonly tally: ClientTally
}

/** The client's way into the simulated network. */
export class SimConnector implements Connector {
  readonly #options: ConnectorOptions
  readonly #open = new Set<SimConnection>()

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  connect(address: string, events: ConnectionEvents): ClientConnection {
    const connection = new SimConnection(this.#options, address, events, () => this.#open.delete(connection))
    this.#open.add(connection)
    return connection
  }

  /** The node's process has ended: its kernel closes what was open, if it still can. */
  listenerEnded(listener: SimListener): void {
    for (const connection of [...this.#open]) connection.listenerEnded(listener)
  }

  /** Both ends are told at once; what is under way is lost. */
  reset(listener: SimListener): void {
    for (const connection of [...this.#open]) connection.reset(listener)
  }

  /** The node's end is gone without a word: the client's lives until it has been silent for `silenceMs`. */
  silenceLater(listener: SimListener): void {
    for (const connection of [...this.#open]) connection.silenceLater(listener)
  }

  /** The node's process has not answered anything for `silenceMs`. */
  listenerSilent(listener: SimListener): void {
    for (const connection of [...this.#open]) connection.listenerSilent(listener)
  }
}

class SimConnection implements ClientConnection, ReplySink {
  readonly #options: ConnectorOptions
  readonly #events: ConnectionEvents
  readonly #gone: () => void
  #listener: SimListener | null = null
  #toServer: Pipe | null = null
  #toClient: Pipe | null = null
  #greeted = false
  #closed = false

  constructor(options: ConnectorOptions, address: string, events: ConnectionEvents, gone: () => void) {
    this.#options = options
    this.#events = events
    this.#gone = gone
    options.scheduler.schedule(options.network.drawDelayMs(options.place, address), () => this.#dial(address), true)
  }

  send(requests: readonly Request[]): void {
    if (this.#closed) return
    if (this.#options.freeze) deepFreeze(requests)
    this.#options.tally.sends(requests)
    this.#toServer!.send(() => {
      const listener = this.#listener!
      listener.process.enter(() => listener.submit(requests, this))
    })
  }

  /** Nothing is called after it. Requests under way still arrive, and their replies find nobody. */
  close(): void {
    if (this.#closed) return
    this.#end()
  }

  /** Called by the node. */
  replies(replies: readonly Reply[]): void {
    if (this.#options.freeze) deepFreeze(replies)
    this.#toClient?.send(() => this.#atClient(() => this.#hear(replies)))
  }

  #hear(replies: readonly Reply[]): void {
    this.#options.tally.hears(replies)
    this.#events.onReplies(replies)
  }

  listenerEnded(listener: SimListener): void {
    if (this.#listener !== listener || this.#closed) return
    this.#toClient!.send(() => this.#fail('the connection was reset'))
  }

  reset(listener: SimListener): void {
    if (this.#listener !== listener || this.#closed) return
    this.#toServer!.close()
    this.#fail('the connection was reset')
  }

  silenceLater(listener: SimListener): void {
    if (this.#listener !== listener || this.#closed) return
    this.#toServer!.close()
    this.#toClient!.close()
    const { scheduler, silenceMs } = this.#options
    scheduler.schedule(silenceMs, () => this.#broken(listener, true), true)
  }

  #dial(address: string): void {
    if (this.#closed) return
    const { network, scheduler, place, silenceMs } = this.#options
    const listener = this.#options.listener(address)
    if (listener === null) {
      this.#fail(`connection to ${address} refused`)
      return
    }
    if (!network.isOpen(place, listener.place) || !network.isOpen(listener.place, place)) {
      scheduler.schedule(silenceMs, () => this.#fail(`no answer from ${address}`), true)
      return
    }
    this.#listener = listener
    this.#toServer = this.#pipe(place, listener.place, false)
    this.#toClient = this.#pipe(listener.place, place, true)
    this.#greet(listener, address)
    scheduler.schedule(silenceMs, () => this.#broken(listener, !this.#greeted), true)
  }

  #greet(listener: SimListener, address: string): void {
    listener.process.enter(() => {
      const hello = listener.hello()
      this.#toClient!.send(() => {
        if (hello === null) this.#fail(`${address} does not serve yet`)
        else this.#atClient(() => this.#open(hello))
      })
    })
  }

  #open(hello: ServerHello): void {
    this.#greeted = true
    this.#events.onOpen(hello)
  }

  #pipe(from: Place, to: Place, settles: boolean): Pipe {
    const { scheduler, network, silenceMs } = this.#options
    const onSilence = () => this.listenerSilent(this.#listener!)
    return new Pipe({ scheduler, network, from, to, settles, silenceMs, onSilence })
  }

  /** Heartbeats of the real transport find this out on both ends. */
  listenerSilent(listener: SimListener): void {
    this.#broken(listener, true)
  }

  #broken(listener: SimListener, broken: boolean): void {
    if (!broken || this.#listener !== listener || this.#closed) return
    this.#toServer!.close()
    this.#fail('the connection fell silent')
  }

  #atClient(action: () => void): void {
    this.#options.process.enter(() => {
      if (!this.#closed) action()
    })
  }

  #fail(reason: string): void {
    this.#options.process.enter(() => {
      if (this.#closed) return
      this.#end()
      this.#events.onClose(new Error(reason))
    })
  }

  #end(): void {
    this.#closed = true
    this.#toClient?.close()
    this.#gone()
  }
}
