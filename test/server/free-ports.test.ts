import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { takeFreePorts } from '../../src/server/free-ports.js'

async function canListen(port: number): Promise<boolean> {
  const server = createServer()
  const listens = await once(server.listen(port, '127.0.0.1'), 'listening').then(
    () => true,
    () => false,
  )
  server.close()
  return listens
}

/** The first of its block of 50. */
function holderOf(port: number): number {
  return port - (port % 50)
}

test('ports are given to nobody else while they are held, and nothing listens once they are released', async () => {
  const [one, other] = [await takeFreePorts(6), await takeFreePorts(6)]
  expect(new Set([...one.ports, ...other.ports]).size).toBe(12)
  expect(await canListen(holderOf(one.ports[0]!))).toBe(false)
  await Promise.all([one.release(), other.release()])
  // Another process may be given a block right then: of all of them, not.
  const isLeft = async () => {
    const { ports, release } = await takeFreePorts(1)
    await release()
    return canListen(holderOf(ports[0]!))
  }
  await expect.poll(isLeft, { timeout: 60_000 }).toBe(true)
})

test('more than a block has are refused', async () => {
  await expect(takeFreePorts(50)).rejects.toThrow(/a block has fewer ports/)
})
