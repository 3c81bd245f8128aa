import { createServer, type Server } from 'node:net'
import { assert } from '../base/assert.js'

/**
 * Below the ports that systems give to outgoing connections: of those, one may be gone between this look and its use, or when a node
 * that was down comes back. In blocks: who listens on the first port of one has the others to himself.
 */
const PORTS = { from: 12_000, perBlock: 50, blocks: 400 } as const
/** Blocks that this process has looked at. */
let looked = 0

export interface FreePorts {
  readonly ports: readonly number[]
  /** Others may have them. */
  release(): Promise<void>
}

/** So many different ports of the loopback interface that nobody listens on now; those who ask here are not given them until they are released. */
export async function takeFreePorts(count: number): Promise<FreePorts> {
  assert(count < PORTS.perBlock, 'a block has fewer ports', count)
  for (let tries = 0; tries < PORTS.blocks; tries++) {
    const first = PORTS.from + ((process.pid + looked++) % PORTS.blocks) * PORTS.perBlock
    const holder = await listenOn(first)
    if (holder === null) continue
    const ports = await freeAmong(first + 1, first + PORTS.perBlock, count)
    holder.unref()
    if (ports.length === count) return { ports, release: () => close(holder) }
    await close(holder)
  }
  assert(false, 'no block of ports of the loopback interface is free', count, PORTS)
}

async function freeAmong(from: number, to: number, count: number): Promise<number[]> {
  const ports: number[] = []
  for (let port = from; port < to && ports.length < count; port++) {
    const server = await listenOn(port)
    if (server === null) continue
    await close(server)
    ports.push(port)
  }
  return ports
}

/** null: somebody else does. */
function listenOn(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
