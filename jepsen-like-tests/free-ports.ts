import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Below those that systems give to outgoing connections, of which one could take a port before its node does, or while that is down. In
 * blocks, each of one process: it listens on the first port of its block for as long as it lives.
 */
const FIRST = 12_000
const PER_BLOCK = 50
const BLOCKS = 400
/** Of the present block: from `next` to before `end`. */
const own = { next: 0, end: 0, looked: 0 }

/** Ports that nobody holds just now. None comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    if (own.next >= own.end) await takeBlock()
    const port = own.next++
    const server = await listenOn(port)
    if (server === null) continue
    await once(server.close(), 'close')
    ports.push(port)
  }
  return ports
}

async function takeBlock(): Promise<void> {
  for (;;) {
    if (own.looked === BLOCKS) throw new Error(`there are no free ports from ${FIRST} on`)
    const first = FIRST + ((process.pid + own.looked++) % BLOCKS) * PER_BLOCK
    const server = await listenOn(first)
    if (server === null) continue
    server.unref()
    Object.assign(own, { next: first + 1, end: first + PER_BLOCK })
    return
  }
}

/** null: somebody else does. */
async function listenOn(port: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy())
  const isFree = await once(server.listen(port, '127.0.0.1'), 'listening').then(
    () => true,
    () => false,
  )
  return isFree ? server : null
}
