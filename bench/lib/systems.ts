import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Etcd3 } from 'etcd3'
import { freePorts } from '../../jepsen-like-tests/free-ports.js'
import { eventually, ProcessCluster } from '../../jepsen-like-tests/processes.js'
import { connectLimit } from './limit-client.js'
import type { KeyValue } from './load.js'

export interface RunningSystem {
  readonly client: KeyValue
  stop(): Promise<void>
}

export interface System {
  readonly name: 'holdfast' | 'etcd3' | 'limit'
  /** Callers it is measured with. */
  readonly callers: readonly number[]
  start(): Promise<RunningSystem>
}

const CALLERS = [1, 64, 512]

const holdfast: System = {
  name: 'holdfast',
  callers: CALLERS,
  async start() {
    const cluster = await ProcessCluster.start()
    const db = await cluster.connect()
    return {
      client: { put: (key, value) => db.put(key, value, { codec: 'bytes' }), get: (key) => db.get(key) },
      async stop() {
        await db.close()
        await cluster.stop()
      },
    }
  },
}

const etcd: System = {
  name: 'etcd3',
  callers: [1, 64, 256, 512],
  async start() {
    const directory = await mkdtemp(join(tmpdir(), 'etcd-'))
    const ports = await freePorts(6)
    const cluster = [0, 1, 2].map((at) => `n${at}=http://127.0.0.1:${ports[3 + at]}`).join(',')
    const processes = [0, 1, 2].map((at) => {
      const client = `http://127.0.0.1:${ports[at]}`
      const peer = `http://127.0.0.1:${ports[3 + at]}`
      const urls = ['--listen-client-urls', client, '--advertise-client-urls', client]
      const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', cluster]
      const args = ['--name', `n${at}`, '--data-dir', join(directory, `n${at}`), ...urls, ...peers]
      return spawn('etcd', [...args, '--initial-cluster-state', 'new'], { stdio: 'ignore' })
    })
    const client = new Etcd3({ hosts: [0, 1, 2].map((at) => `http://127.0.0.1:${ports[at]}`) })
    await eventually('etcd serves', 30_000, async () => client.put('ready').value('1'))
    return {
      client: {
        put: async (key, value) => await client.put(key).value(Buffer.from(value)),
        get: (key) => client.get(key).buffer(),
      },
      async stop() {
        client.close()
        await endAll(processes)
        await rm(directory, { recursive: true, force: true })
      },
    }
  },
}

const limit: System = {
  name: 'limit',
  callers: CALLERS,
  async start() {
    const directory = await mkdtemp(join(tmpdir(), 'limit-'))
    const file = fileURLToPath(new URL('./limit-node.js', import.meta.url))
    const begin = async (args: string[]): Promise<{ child: ChildProcess; port: number }> => {
      const child = fork(file, args)
      const [{ port }] = (await once(child, 'message')) as [{ port: number }]
      return { child, port }
    }
    const followers = await Promise.all([1, 2].map((at) => begin([join(directory, `follower-${at}`)])))
    const leader = await begin([join(directory, 'leader'), ...followers.map(({ port }) => String(port))])
    const connection = connectLimit(leader.port)
    return {
      client: connection,
      async stop() {
        connection.close()
        await endAll([leader, ...followers].map(({ child }) => child))
        await rm(directory, { recursive: true, force: true })
      },
    }
  },
}

async function endAll(processes: readonly ChildProcess[]): Promise<void> {
  await Promise.all(
    processes.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }),
  )
}

export const systems: readonly System[] = [holdfast, etcd, limit]
