import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below those that systems give to outgoing connections, of which one could take a port before its node does, or while that is down. */
const FIRST = 12_000
const COUNT = 20_000
/** Processes that run at the same time begin this far apart. */
const PER_PROCESS = 50
let looked = 0

/** Ports that nobody holds just now. None comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let tries = 0; ports.length < count; tries++) {
    if (tries === COUNT) throw new Error(`there are no ${count} free ports from ${FIRST} on`)
    const port = FIRST + ((process.pid * PER_PROCESS + looked++) % COUNT)
    const server = createServer()
    const isFree = await once(server.listen(port, '127.0.0.1'), 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await once(server.close(), 'close')
    ports.push(port)
  }
  return ports
}
