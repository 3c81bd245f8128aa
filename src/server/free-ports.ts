import { createServer } from 'node:net'
import { assert } from '../base/assert.js'

/**
 * Below the ports that systems give to outgoing connections: of those, one may be gone between this look and its use, or when a node
 * that was down comes back. Processes begin at different ones.
 */
const PORTS = { from: 12_000, count: 20_000, perProcess: 50 } as const
let looked = 0

/** So many different ports of the loopback interface that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let tries = 0; ports.length < count; tries++) {
    assert(tries < PORTS.count, 'no port of the loopback interface is free', count)
    const port = PORTS.from + ((process.pid * PORTS.perProcess + looked++) % PORTS.count)
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
