import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Bench, freePort, refusal } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

describe('a node does not start, and says why', () => {
  test.each([
    ['listen', { listen: '0.0.0.0:0' }, 'listen 0.0.0.0:0 is outside loopback'],
    ['peer-listen', { peerListen: '[::]:0' }, 'peer-listen [::]:0 is outside loopback'],
    ['an address of a network', { listen: '192.0.2.1:7400' }, 'listen 192.0.2.1:7400 is outside loopback'],
  ])('outside loopback without --insecure: %s', async (_, over, expected) => {
    const { code, message } = await refusal((await bench.node()).start(over))
    expect([code, message]).toEqual(['NOT_PERMITTED', expect.stringContaining(expected)])
    expect(message).toMatch(/neither encrypted nor authenticated.*--insecure/)
  })

  test.each([
    ['no port', { listen: '127.0.0.1' }, 'listen: expected host:port, got "127.0.0.1"'],
    ['a port above 65535', { listen: '127.0.0.1:65536' }, 'listen: expected host:port, got "127.0.0.1:65536"'],
    ['nothing', { peerListen: '' }, 'peer-listen: expected host:port, got ""'],
    ['a URL', { peerListen: 'http://127.0.0.1:1' }, 'peer-listen: expected host:port'],
    ['a bare IPv6 address', { listen: '::1:7400' }, 'listen: expected host:port'],
    ['join without a port', { join: ['a:1', 'somewhere'] }, 'join: expected host:port, got "somewhere"'],
    ['join at port 0', { join: ['a:0'] }, 'join: expected a port from 1 to 65535, got "a:0"'],
    ['advertise that is none', { advertise: 'me' }, 'advertise: expected host:port, got "me"'],
    ['advertise at port 0', { advertise: 'me:0' }, 'advertise: expected a port from 1 to 65535, got "me:0"'],
    ['peer-advertise that is none', { peerAdvertise: 'me:x' }, 'peer-advertise: expected host:port, got "me:x"'],
    ['all addresses, and no one to dial', { listen: '0.0.0.0:0', insecure: true }, 'say with --advertise host:port'],
    ['the same for peers', { peerListen: '[::]:0', insecure: true }, 'say with --peer-advertise host:port'],
  ])('a bad address: %s', async (_, over, expected) => {
    const { code, message } = await refusal((await bench.node()).start(over))
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(expected)])
  })

  test('nor for lack of --insecure, where it is given and others can dial the node', async () => {
    const node = await bench.node()
    const over = { insecure: true, advertise: node.client, listen: node.client.replace('127.0.0.1', '0.0.0.0') }
    await node.start(over)
  })

  test.each(['client', 'peer'] as const)(
    'a %s port in use; the data directory and the other port are free again',
    async (which) => {
      const node = await bench.node()
      const server = createServer()
      const port = await freePort()
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
      const over = which === 'client' ? { listen: `127.0.0.1:${port}` } : { peerListen: `127.0.0.1:${port}` }
      expect(await refusal(node.start(over))).toMatchObject({ code: 'EADDRINUSE', port })
      await new Promise((resolve) => server.close(resolve))
      await node.start(over)
    },
  )

  test('a data directory that a live node holds, naming its process', async () => {
    const holder = await bench.node()
    await holder.start()
    const other = await bench.node()
    Object.assign(other, { directory: holder.directory })
    const { code, message } = await refusal(other.start())
    expect(code).toBe('NOT_PERMITTED')
    expect(message).toContain(`${holder.directory} is in use by process ${process.pid}`)
    await holder.stop()
    await other.start()
  })

  test('a data directory of a newer format; nothing in it is touched', async () => {
    const node = await bench.node()
    await node.start()
    await node.stop()
    await writeFile(join(node.directory, 'FORMAT'), 'holdfast 2\n')
    const before = await contents(node.directory)
    const { code, message } = await refusal(node.start())
    expect(code).toBe('INVALID_ARGUMENT')
    expect(message).toContain(`${node.directory} cannot be used: it is of format 2, this program knows up to 1`)
    expect(await contents(node.directory)).toEqual(before)
  })

  test('a node.json that is damaged; it is not replaced', async () => {
    const [node] = await bench.cluster(1)
    await node!.stop()
    const file = join(node!.directory, 'node.json')
    const whole = await readFile(file, 'utf8')
    await writeFile(file, whole.replace('"node": 1', '"node": 2'))
    const { code, message } = await refusal(node!.start())
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('its checksum does not fit')])
    await writeFile(file, whole)
    await node!.start()
  })

  test('a data directory whose node.json is gone; none is made in its place', async () => {
    const [node] = await bench.cluster(1)
    await node!.stop()
    const file = join(node!.directory, 'node.json')
    const whole = await readFile(file, 'utf8')
    await rm(file)
    const { code, message } = await refusal(node!.start())
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('it is missing, but log/ holds')])
    await writeFile(file, whole)
    await node!.start()
  })

  test('a directory of something else, naming what it holds', async () => {
    const node = await bench.node()
    await mkdir(node.directory)
    await writeFile(join(node.directory, 'thesis.tex'), 'years of work')
    const { code, message } = await refusal(node.start())
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('holds thesis.tex')])
    expect(await readdir(node.directory)).toEqual(['thesis.tex'])
  })
})

async function contents(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile())
  const read = names.map(async ({ name }) => [name, await readFile(join(directory, name), 'latin1')] as const)
  return Object.fromEntries(await Promise.all(read))
}
