import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Layout } from '../../cli/dev/layout.js'
import { lockFolder } from '../../cli/dev/lock.js'
import { choosePorts, refusePortsInUse } from '../../cli/dev/ports.js'

let layout = new Layout('')
beforeEach(() => {
  layout = new Layout(mkdtempSync(join(tmpdir(), 'holdfast-dev-')))
})
afterEach(() => rmSync(layout.folder, { recursive: true }))

describe('the lock of a dev folder', () => {
  it('refuses a second dev and names the process that holds it', () => {
    const unlock = lockFolder(layout)
    expect(() => lockFolder(layout)).toThrow(new RegExp(`process ${process.pid} already runs a dev cluster`))
    unlock()
    lockFolder(layout)()
  })

  it('is taken over from a process that is gone', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    writeFileSync(layout.lockFile, JSON.stringify({ pid: child.pid, started: '1' }))
    lockFolder(layout)()
    expect(existsSync(layout.lockFile)).toBe(false)
  })

  it.skipIf(!existsSync('/proc/self/stat'))('is taken over when the process id belongs to another process now', () => {
    writeFileSync(layout.lockFile, JSON.stringify({ pid: process.pid, started: 'not when this process started' }))
    lockFolder(layout)()
  })

  it('is taken over when it is damaged', () => {
    writeFileSync(layout.lockFile, 'half a li')
    lockFolder(layout)()
  })
})

describe('what dev remembers', () => {
  const state = { initialised: true, ranges: 1, nodes: [{ number: 1, port: 7400, peerPort: 7500, httpPort: 7600 }] }

  it('comes back as it was written', () => {
    layout.write(state)
    expect(layout.read()).toEqual({ format: 1, ...state })
  })

  it('gives nodes of a version that had no HTTP port the one above their client port', () => {
    const nodes = [{ number: 1, port: 7450, peerPort: 7550 }]
    writeFileSync(layout.stateFile, JSON.stringify({ format: 1, ...state, nodes }))
    expect(layout.read()?.nodes).toEqual([{ number: 1, port: 7450, peerPort: 7550, httpPort: 7650 }])
  })

  it('refuses a damaged file by name', () => {
    writeFileSync(layout.stateFile, '{"format":1,"nodes":')
    expect(() => layout.read()).toThrow(/dev\.json is damaged/)
    writeFileSync(layout.stateFile, '{"format":1,"nodes":[]}')
    expect(() => layout.read()).toThrow(/dev\.json is damaged/)
  })

  it('refuses a newer format by name', () => {
    writeFileSync(layout.stateFile, JSON.stringify({ ...state, format: 2 }))
    expect(() => layout.read()).toThrow(/has format 2, this version knows 1/)
  })

  it('resets only what is its own', () => {
    layout.write(state)
    layout.prepare(state.nodes)
    mkdirSync(join(layout.folder, 'node-1', 'data'))
    writeFileSync(join(layout.folder, 'notes.txt'), 'mine')
    expect(layout.reset().sort()).toEqual([join(layout.folder, 'dev.json'), join(layout.folder, 'node-1')])
    expect(readFileSync(join(layout.folder, 'notes.txt'), 'utf8')).toBe('mine')
    expect(layout.read()).toBeNull()
  })
})

describe('ports of a dev cluster', () => {
  it('follow the first one, peers 100 above, HTTP 200 above', async () => {
    expect(await choosePorts({ nodes: 2, port: 7400 })).toEqual([
      { number: 1, port: 7400, peerPort: 7500, httpPort: 7600 },
      { number: 2, port: 7401, peerPort: 7501, httpPort: 7601 },
    ])
  })

  it('are all different when free ones are asked for', async () => {
    const nodes = await choosePorts({ nodes: 5, port: 0 })
    expect(new Set(nodes.flatMap(({ port, peerPort, httpPort }) => [port, peerPort, httpPort])).size).toBe(15)
  })

  it('are refused by number and node when in use', async () => {
    const server = createServer().listen({ host: '127.0.0.1', port: 0 })
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const nodes = [{ number: 3, port, peerPort: port, httpPort: port }]
    await expect(refusePortsInUse(nodes, 'give --port')).rejects.toThrow(
      `port ${port} of node 3 is in use by another process: give --port`,
    )
    server.close()
    await once(server, 'close')
    await refusePortsInUse(nodes, 'unused')
  })
})
