import { createServer, type Server } from 'node:net'
import { assert } from '../base/assert.js'

/**
 * Below the ports that systems give to outgoing connections: of those, one may be gone between this look and its use, or when a node
 * that was down comes back. In blocks, each of one process: it listens on the first port of its block for as long as it lives.
 */
const PORTS = { from: 12_000, perBlock: 50, blocks: 400 } as const
/** Of the present block: from `next` to before `end`. */
const own = { next: 0, end: 0, looked: 0 }

/** So many different ports of the loopback interface that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    if (own.next >= own.end) await takeBlock()
    const port = own.next++
    const server = await listenOn(port)
    if (server === null) continue
    await new Promise((resolve) => server.close(resolve))
    ports.push(port)
  }
  return ports
}

async function takeBlock(): Promise<void> {
  for (;;) {
    assert(own.looked < PORTS.blocks, 'no port of the loopback interface is free', PORTS)
    const first = PORTS.from + ((process.pid + own.looked++) % PORTS.blocks) * PORTS.perBlock
    const server = await listenOn(first)
    if (server === null) continue
    server.unref()
    Object.assign(own, { next: first + 1, end: first + PORTS.perBlock })
    return
  }
}

/** null: somebody else does. */
function listenOn(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
