import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { HoldfastError } from '../base/errors.js'
import type { Logger } from '../base/ports.js'
import { formatAddress, type HostPort } from './addresses.js'
import type { Readiness } from './health.js'

/** Whoever watches a node needs a few; more are not taken. */
const CONNECTIONS_MAX = 128
const REQUEST_MS_MAX = 5_000
const HEADER_BYTES_MAX = 8 * 1024
const READY_RANGES_MAX = 100

export interface HttpPages {
  /** The loop takes turns. */
  live(): Promise<boolean>
  ready(): Readiness
  metrics(): Promise<string>
  readonly metricsType: string
}

export interface HttpServer {
  /** host:port that it listens on. */
  readonly address: string
  close(): Promise<void>
}

/** Listens for who watches the node: /livez, /readyz, /metrics. Rejects with the error of `listen`. */
export async function startHttp(asked: HostPort, pages: HttpPages, logger: Logger): Promise<HttpServer> {
  const server = createServer(
    { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_MS_MAX },
    (request, answer) => {
      serve(request, answer, pages).catch((error: unknown) => {
        logger.log('error', `http: ${request.url} failed`, { error: String(error) })
        send(answer, 500, 'text/plain', 'internal error\n')
      })
    },
  )
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = REQUEST_MS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(asked.port, asked.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', (error) => logger.log('error', `http listener failed: ${error.message}`))
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : asked.port
  return {
    address: formatAddress({ host: asked.host, port }),
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    },
  }
}

async function serve(request: IncomingMessage, answer: ServerResponse, pages: HttpPages): Promise<void> {
  const path = (request.url ?? '').split('?')[0]
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    answer.setHeader('allow', 'GET, HEAD')
    return send(answer, 405, 'text/plain', 'only GET and HEAD\n')
  }
  switch (path) {
    case '/livez': {
      const live = await pages.live()
      return sendJson(answer, live, { live, ...(live ? {} : { reason: 'no turn was taken for seconds' }) })
    }
    case '/readyz': {
      const readiness = pages.ready()
      return sendJson(answer, readiness.ready, shortened(readiness))
    }
    case '/metrics':
      return send(answer, 200, pages.metricsType, await pages.metrics())
    default:
      return send(answer, 404, 'text/plain', 'there is /livez, /readyz and /metrics\n')
  }
}

function shortened(readiness: Readiness): object {
  if (readiness.ready || readiness.ranges === undefined) return readiness
  return { ...readiness, ranges: readiness.ranges.slice(0, READY_RANGES_MAX), rangeCount: readiness.ranges.length }
}

function sendJson(answer: ServerResponse, isWell: boolean, body: object): void {
  send(answer, isWell ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`)
}

function send(answer: ServerResponse, status: number, type: string, body: string): void {
  answer.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  // The length stands in the head, and HEAD takes no body.
  answer.end(answer.req.method === 'HEAD' ? undefined : body)
}

/** @throws HoldfastError where http would share a port with another listener. */
export function refuseSharedPort(http: HostPort | null, others: Readonly<Record<string, HostPort>>): void {
  if (http === null || http.port === 0) return
  for (const [name, other] of Object.entries(others)) {
    if (formatAddress(other) !== formatAddress(http)) continue
    throw new HoldfastError('INVALID_ARGUMENT', `http and ${name} are both ${formatAddress(http)}: they must differ`)
  }
}
