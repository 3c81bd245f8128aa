import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { HoldfastError } from '../../src/base/errors.js'
import type { DevNode } from './layout.js'

const PEER_PORT_OFFSET = 100
export const HTTP_PORT_OFFSET = 200
const HOST = '127.0.0.1'
const FREE_FROM = 12_000
const ROW = 50
const ROWS = 400
const TRIES_MAX = 100

/** Node 1 gets `port`, node 2 the next one, and so on; peers 100 above, HTTP 200. Port 0: any free ones. */
export async function choosePorts({ nodes, port }: { nodes: number; port: number }): Promise<DevNode[]> {
  const numbers = Array.from({ length: nodes }, (_, index) => index + 1)
  if (port > 0) {
    return numbers.map((number) => ({
      number,
      port: port + number - 1,
      peerPort: port + PEER_PORT_OFFSET + number - 1,
      httpPort: port + HTTP_PORT_OFFSET + number - 1,
    }))
  }
  const free = await freePorts(nodes * 3)
  return numbers.map((number) => {
    const [port, peerPort, httpPort] = free.slice(number * 3 - 3)
    return { number, port: port!, peerPort: peerPort!, httpPort: httpPort! }
  })
}

/** Refuses by name before anything is started. `advice` says what changes the ports. */
export async function refusePortsInUse(nodes: readonly DevNode[], advice: string): Promise<void> {
  for (const { number, port, peerPort, httpPort } of nodes) {
    for (const candidate of [port, peerPort, httpPort]) {
      const problem = await tryListen(candidate)
      if (problem === null) continue
      const reason = problem === 'EADDRINUSE' ? 'is in use by another process' : `cannot be opened (${problem})`
      throw new HoldfastError('UNAVAILABLE', `port ${candidate} of node ${number} ${reason}: ${advice}`)
    }
  }
}

function tryListen(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host: HOST, port }, () => server.close(() => resolve(null)))
  })
}

/**
 * Below the ports that systems give to outgoing connections: a node that was down finds its own again. In a row, from a place where few
 * others look: who is about to listen there, too, meets the first one taken.
 */
async function freePorts(count: number): Promise<number[]> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const first = FREE_FROM + ROW * randomInt(ROWS)
    const ports = Array.from({ length: count }, (_, at) => first + at)
    const problems = await Promise.all(ports.map(tryListen))
    if (problems.every((problem) => problem === null)) return ports
  }
  throw new HoldfastError('UNAVAILABLE', `found no ${count} free ports in a row from ${FREE_FROM} on; try --port N`)
}
