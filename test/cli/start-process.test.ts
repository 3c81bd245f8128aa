import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../eventually.js'
import { holdfast, holdfastOnce, Spawned } from './spawned.js'

let folder = ''
const running: Spawned[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-start-'))
})
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop('SIGKILL')
  rmSync(folder, { recursive: true })
})

const data = () => join(folder, 'data')

function start(...argv: readonly string[]): Spawned {
  const node = new Spawned(['start', '--data', data(), ...argv], { cwd: folder })
  running.push(node)
  return node
}

async function ready(node: Spawned): Promise<string> {
  const line = await node.until(/^.*"msg":"ready".*$/m)
  return (JSON.parse(line[0]) as { clientAddress: string }).clientAddress
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer().listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  return { server, port: (server.address() as { port: number }).port }
}

describe('one node', () => {
  it('is ready, becomes a cluster by init, and has its data again after kill -9', async () => {
    const first = start('--port', '0')
    const endpoint = await ready(first)

    // A command that is slow to start may have heard nothing by its deadline.
    await eventually(async () => {
      const early = await holdfastOnce('get', 'a', '-e', endpoint, '--deadline', '500')
      expect(early.code).toBe(3)
      return early.err.includes('holdfast init')
    })

    expect((await holdfastOnce('init', '-e', endpoint)).code).toBe(0)
    expect((await holdfastOnce('put', 'a', 'kept', '-e', endpoint)).code).toBe(0)
    await first.stop('SIGKILL')

    const second = start('--port', '0')
    const again = await ready(second)
    expect(await holdfastOnce('get', 'a', '-e', again)).toMatchObject({ code: 0, out: 'kept\n' })
    expect(await second.stop('SIGTERM')).toBe(0)
    expect(second.out).toContain('"msg":"stopped"')
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s stops it in order', async (signal) => {
    const node = start('--port', '0')
    await ready(node)
    expect(await node.stop(signal)).toBe(0)
  })

  it.skipIf(!existsSync('/dev/full'))('serves, and stops in order, where its log has no room', async () => {
    const full = openSync('/dev/full', 'w')
    const argv = [holdfast, 'start', '--data', data(), '--port', '0', '--log-level', 'debug']
    const node = spawn(process.execPath, argv, { stdio: ['ignore', full, 'inherit', 'ipc'] })
    closeSync(full)
    try {
      const [{ clientAddress }] = (await once(node, 'message')) as [{ clientAddress: string }]
      expect((await holdfastOnce('init', '-e', clientAddress)).code).toBe(0)
      expect((await holdfastOnce('put', 'a', 'b', '-e', clientAddress)).code).toBe(0)
      node.kill('SIGTERM')
      expect(await once(node, 'exit')).toEqual([0, null])
    } finally {
      node.kill('SIGKILL')
    }
  })

  it('ends when the pipe to its parent closes', async () => {
    const node = new Spawned(['start', '--data', data(), '--port', '0'], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    running.push(node)
    await ready(node)
    node.child.disconnect()
    expect((await node.ended).code).toBe(0)
    expect(node.out).toContain('the parent process ended')
  })

  it.each([
    ['uncaught exception', 'throw new Error("planted")'],
    ['unhandled rejection', 'Promise.reject(new Error("planted"))'],
  ])('ends by name with an %s', async (kind, code) => {
    const planted = `process.on('SIGUSR2', () => { ${code} })`
    const env = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(planted)}` }
    const node = new Spawned(['start', '--data', data(), '--port', '0'], { cwd: folder, env })
    running.push(node)
    await ready(node)
    node.child.kill('SIGUSR2')
    expect((await node.ended).signal).toBe('SIGKILL')
    expect(node.out).toMatch(new RegExp(`"level":"error".*planted.*"msg":"${kind}: this node ends"`))
  })

  it('keeps its data directory to its owner', async () => {
    await ready(start('--port', '0'))
    expect(statSync(data()).mode & 0o777).toBe(0o700)
  })
})

describe('bad input is refused by name', () => {
  it('a client port in use, with the flag that changes it', async () => {
    const { server, port } = await listening()
    const node = start('--listen', `127.0.0.1:${port}`, '--peer-listen', '127.0.0.1:0', '--http', 'off')
    expect((await node.ended).code).toBe(3)
    expect(node.err).toContain(`127.0.0.1:${port} is in use by another process: choose another address with --listen`)
    server.close()
  })

  it('a peer port in use, with the flag that changes it', async () => {
    const { server, port } = await listening()
    const node = start('--listen', '127.0.0.1:0', '--peer-listen', `127.0.0.1:${port}`)
    expect((await node.ended).code).toBe(3)
    expect(node.err).toContain(
      `127.0.0.1:${port} is in use by another process: choose another address with --peer-listen`,
    )
    server.close()
  })

  it('a port in use at another address than another flag has it', async () => {
    const { server, port } = await listening()
    const node = start('--listen', `127.0.0.1:${port}`, '--peer-listen', `127.0.0.2:${port}`, '--http', 'off')
    expect((await node.ended).code).toBe(3)
    expect(node.err).toContain(`127.0.0.1:${port} is in use by another process: choose another address with --listen`)
    server.close()
  })

  it('a file that may not be read is no matter of an address', async () => {
    const planted = `
      import fs from 'node:fs/promises'
      import { syncBuiltinESMExports } from 'node:module'
      const { readdir } = fs
      fs.readdir = async (path, ...rest) => {
        if (String(path).endsWith('log')) throw Object.assign(new Error('EACCES: ' + path), { code: 'EACCES', syscall: 'scandir', path })
        return readdir(path, ...rest)
      }
      syncBuiltinESMExports()`
    const env = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(planted)}` }
    const node = new Spawned(['start', '--data', data(), '--port', '0'], { cwd: folder, env })
    running.push(node)
    expect((await node.ended).code).not.toBe(0)
    expect(node.err).toContain('EACCES')
    expect(node.err).not.toContain('--listen')
  })

  it('an HTTP port in use, with the flag that changes it', async () => {
    const { server, port } = await listening()
    const node = start('--port', '0', '--http', `127.0.0.1:${port}`)
    expect((await node.ended).code).toBe(3)
    expect(node.err).toContain(`127.0.0.1:${port} is in use by another process: choose another address with --http`)
    server.close()
  })

  it('one address for clients and for peers', async () => {
    const node = start('--listen', '127.0.0.1:1234', '--peer-listen', '127.0.0.1:1234')
    expect((await node.ended).code).toBe(2)
    expect(node.err).toContain('--listen and --peer-listen are both 127.0.0.1:1234')
  })

  it('an address of another machine', async () => {
    const node = start('--listen', '192.0.2.1:0', '--peer-listen', '127.0.0.1:0', '--insecure')
    expect((await node.ended).code).toBe(3)
    expect(node.err).toContain('192.0.2.1:0 is no address of this machine: choose another address with --listen')
  })

  it('a listener outside loopback, with the reason', async () => {
    const node = start('--listen', '0.0.0.0:0')
    expect((await node.ended).code).toBe(5)
    expect(node.err).toMatch(/0\.0\.0\.0:0 is outside loopback.*--insecure/)
  })

  it('a data directory that a live process holds, with its id; the holder lives on', async () => {
    const first = start('--port', '0')
    await ready(first)
    const second = start('--port', '0')
    expect((await second.ended).code).toBe(5)
    expect(second.err).toContain(String(first.pid))
    expect(second.err).toContain(data())
    expect(await first.stop('SIGTERM')).toBe(0)
  })

  it('a data directory of a newer format; nothing in it is changed', async () => {
    await start('--port', '0').until(/ready/)
    await running[0]!.stop('SIGTERM')
    writeFileSync(join(data(), 'FORMAT'), '999\n')
    const before = readdirSync(data())
    const node = start('--port', '0')
    expect((await node.ended).code).not.toBe(0)
    expect(node.err).toMatch(/FORMAT|format/)
    expect(node.err).toContain('999')
    expect(readdirSync(data())).toEqual(before)
    expect(readFileSync(join(data(), 'FORMAT'), 'utf8')).toBe('999\n')
  })

  it('a damaged configuration file in the working directory', async () => {
    writeFileSync(join(folder, 'holdfast.yaml'), 'listen: [\n')
    const node = start()
    expect((await node.ended).code).toBe(2)
    expect(node.err).toContain('configuration in holdfast.yaml')
  })

  it('an unknown setting in the environment', async () => {
    const node = new Spawned(['start', '--data', data()], { env: { ...process.env, HOLDFAST_LISEN: 'x' } })
    expect((await node.ended).code).toBe(2)
    expect(node.err).toContain('unknown setting lisen')
  })
})

describe('a join address that does not answer', () => {
  it('is named in the log; the node waits for it and still stops in order', async () => {
    const { server, port } = await listening()
    server.close()
    await once(server, 'close')
    const node = start('--port', '0', '--join', `127.0.0.1:${port}`)
    await node.until(new RegExp(`no answer yet.*127\\.0\\.0\\.1:${port}|127\\.0\\.0\\.1:${port}.*no answer yet`))
    expect(await node.stop('SIGTERM')).toBe(0)
  })

  it('init names it and makes nothing', async () => {
    const { server, port } = await listening()
    server.close()
    await once(server, 'close')
    const node = start('--port', '0', '--join', `127.0.0.1:${port}`)
    const endpoint = await ready(node)
    const init = await holdfastOnce('init', '-e', endpoint)
    expect(init.code).toBe(3)
    expect(init.err).toContain(`127.0.0.1:${port}`)
  })
})
