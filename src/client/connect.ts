import { HoldfastError } from '../base/errors.js'
import { limits } from '../base/limits.js'
import type { Codec } from '../kv/types.js'
import { GrpcConnector } from '../transport/connector.js'
import { ClientCore } from './core.js'
import { HoldfastClient } from './holdfast.js'
import { newSessionId, realClock, realRandom } from './real-ports.js'
import type { Holdfast } from './types.js'
import { isCodec, unknownCodec } from './values.js'

export interface ConnectOptions {
  /** host:port of one or more nodes, as an array or separated by commas; the others are learned from them. */
  readonly endpoints: string | readonly string[]
  /** For connecting, and for calls that name none, in milliseconds. Default: 5,000; at most 600,000. */
  readonly deadlineMs?: number | undefined
  /** How values become bytes where a call names none. Default: msgpack. */
  readonly codec?: Codec | undefined
  /** Gives up connecting. It has no effect on what was connected. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects to a cluster.
 *
 * ```ts
 * const db = await connect({ endpoints: '127.0.0.1:7400' })
 * const { version } = await db.put('greeting', { text: 'hello' })
 * await db.put('greeting', { text: 'hello again' }, { ifVersion: version })
 * await db.close()
 * ```
 *
 * @throws HoldfastError UNAVAILABLE, if no endpoint answered by the deadline: the message names each and why.
 */
export async function connect(options: ConnectOptions): Promise<Holdfast> {
  const { codec = 'msgpack', deadlineMs = limits.defaultDeadlineMs, signal } = options
  if (!isCodec(codec)) throw unknownCodec(codec)
  const core = new ClientCore({
    connector: new GrpcConnector(),
    endpoints: endpointsOf(options.endpoints),
    clock: realClock,
    random: realRandom,
    defaultDeadlineMs: deadlineMs,
    newSessionId,
  })
  try {
    await core.ready({ deadlineMs, signal })
  } catch (error) {
    core.close()
    throw error
  }
  return new HoldfastClient(core, codec)
}

/** @throws HoldfastError INVALID_ARGUMENT, naming what is no host:port. */
export function endpointsOf(endpoints: string | readonly string[]): readonly string[] {
  const list = (typeof endpoints === 'string' ? endpoints.split(',') : endpoints).map((endpoint) => endpoint.trim())
  const odd = list.find((endpoint) => !isAddress(endpoint))
  if (odd !== undefined) {
    const expected = 'expected host:port, as in 127.0.0.1:7400'
    throw new HoldfastError('INVALID_ARGUMENT', `endpoint ${JSON.stringify(odd)} is no address; ${expected}`)
  }
  if (list.length === 0)
    throw new HoldfastError('INVALID_ARGUMENT', 'endpoints is empty; expected at least one host:port')
  return list
}

function isAddress(endpoint: string): boolean {
  const port = /^(?:[^\s:/[\]]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(endpoint)?.[1]
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536
}
