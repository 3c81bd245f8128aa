import { createServer } from 'node:net'
import { HoldfastError } from '../../src/base/errors.js'
import type { DevNode } from './layout.js'

const PEER_PORT_OFFSET = 100
export const HTTP_PORT_OFFSET = 200
const HOST = '127.0.0.1'

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

/** Held open together, so that all differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen({ host: HOST, port: 0 }, () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
