import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Version } from '../../src/base/ids.js'
import { ClientCore } from '../../src/client/core.js'
import { HoldfastClient } from '../../src/client/holdfast.js'
import type { Holdfast } from '../../src/client/types.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { simulate } from '../../src/testing/simulate.js'
import { RealTimeError } from '../../src/testing/timer-guard.js'

describe('a simulated cluster for users', () => {
  it('serves the SDK through a crash of the leader', async () => {
    const cluster = simulate({ seed: 1 })
    const found = await cluster.run(async () => {
      await cluster.db.put('a', 1)
      expect(cluster.crash('leader')).not.toBe(null)
      await cluster.db.put('b', 2)
      return cluster.db.getMany(['a', 'b'])
    })
    expect(found).toEqual([1, 2])
    await cluster.verify()
  })

  it('is the same run for the same seed and calls, and another for another seed', async () => {
    const hashOf = async (seed: number) => {
      const cluster = simulate({ seed, faults: 'drawn', faultyMs: 4_000 })
      await cluster.run(async () => {
        for (let at = 0; at < 20; at++) {
          await cluster.db.put(`key ${at}`, at, { deadlineMs: 30_000 }).catch(() => {})
          await cluster.clock.sleep(200)
        }
      })
      return cluster.hash
    }
    expect(await hashOf(5)).toBe(await hashOf(5))
    expect(await hashOf(5)).not.toBe(await hashOf(6))
  })

  it('has clients of its own, a partition that mends, a pause and any other fault', async () => {
    const cluster = simulate({ seed: 2 })
    await cluster.run(async () => {
      await cluster.db.put('x', 'before')
      const mend = cluster.partition('leader', 'peers')
      await cluster.client().put('x', 'after', { deadlineMs: 20_000 })
      expect(await cluster.db.get('x', { deadlineMs: 20_000 })).toBe('after')
      mend()
      mend()
      const paused = cluster.pause(2)
      expect(paused).toBe(2)
      expect(cluster.pause(2)).toBe(null)
      cluster.resume(2)
      const free = cluster.inject({ kind: 'full', target: 3 })
      expect(free).not.toBe(null)
      free?.()
      expect(cluster.crash(1)).toBe(1)
      expect(cluster.crash(1)).toBe(null)
    })
    await cluster.verify()
  })

  it('carries out a plan of your own', async () => {
    const plan = {
      nodes: 5,
      ranges: 1,
      clients: 0,
      thinkMsMax: 0,
      faults: [{ kind: 'crash' as const, atMs: 500, forMs: 1_000, targets: [1, 2] }],
      healedMs: 2_000,
      clockOffsetsMs: [0, 0, 0, 0, 0],
      syncMsMax: 1,
      quality: { delayMs: 1, jitterMs: 0, loss: 0, duplicate: 0, straggle: 0, straggleMs: 0 },
      keptBytesMax: 65_536,
      stateSyncEveryBytes: 65_536,
      historyKeptMs: 600_000,
      sessionKeptMs: 600_000,
    }
    const cluster = simulate({ seed: 3, faults: plan })
    expect(cluster.nodes).toEqual([1, 2, 3, 4, 5])
    await cluster.run(() => cluster.clock.sleep(3_000))
    expect(cluster.lastEvents.join('\n')).toContain('crash')
    await cluster.verify()
  })

  it('keeps virtual time: a day passes at once', async () => {
    const cluster = simulate({ seed: 4, nodes: 1 })
    const before = cluster.clock.now()
    const fired: string[] = []
    await cluster.run(
      async () => {
        cluster.clock.setTimer(10, () => fired.push('late'))
        cluster.clock.setTimer(5, () => fired.push('early'))
        const cancel = cluster.clock.setTimer(7, () => fired.push('never'))
        cancel()
        await cluster.clock.sleep(60_000)
      },
      { limitMs: 120_000 },
    )
    expect(fired).toEqual(['early', 'late'])
    expect(cluster.clock.now() - before).toBeGreaterThanOrEqual(60_000)
  })
})

describe('what was acknowledged', () => {
  /** Every third write is told to be done and never sent. */
  function loseSome(): void {
    const write = ClientCore.prototype.write
    let count = 0
    vi.spyOn(ClientCore.prototype, 'write').mockImplementation(function (this: ClientCore, ...args) {
      if (++count % 3 > 0) return write.apply(this, args)
      const deletes = args[0].writes.filter(({ kind }) => kind === 'delete')
      return Promise.resolve({ version: 4_000_000_000_000_000 as Version, deleted: deletes.map(() => true) })
    })
  }
  const clients = ['db', 'client()'] as const
  const writes: readonly (readonly [string, (db: Holdfast, key: string) => Promise<unknown>])[] = [
    ['put', (db, key) => db.put(key, 1)],
    ['put under a condition', (db, key) => db.put(key, 1, { ifAbsent: true })],
    ['delete', (db, key) => db.delete(key)],
    ['batch', (db, key) => db.batch([{ put: key, value: 1 }, { delete: `${key} too` }])],
  ]

  afterEach(() => vi.restoreAllMocks())

  it.each(clients.flatMap((client) => writes.map((write) => [client, ...write] as const)))(
    'and is not there ends a run: %s, %s',
    async (name, _, write) => {
      loseSome()
      const cluster = simulate({ seed: 1 })
      const db = name === 'db' ? cluster.db : cluster.client()
      const running = cluster.run(async () => {
        for (let at = 0; at < 3; at++) await write(db, `key ${at}`)
      })
      await expect(running.then(() => cluster.verify())).rejects.toThrow(/broke a promise: a client was told .*"key 2"/)
    },
  )

  it('is there, whatever the calls: also beside such as failed, and such as nobody knows the outcome of', async () => {
    const cluster = simulate({ seed: 3 })
    const other = cluster.client()
    const unknown: string[] = []
    await cluster.run(async () => {
      for (let at = 0; at < 40; at++) {
        const key = `key ${at % 5}`
        if (at % 10 === 5) cluster.clock.setTimer(900, cluster.partition('leader', 'peers'))
        const calls = [
          cluster.db.put(key, at, { deadlineMs: 40 }),
          other.put(key, -at, { codec: 'json', deadlineMs: 40 }),
          other.put(key, at, { ifAbsent: true }),
          other.delete(key, { deadlineMs: 40 }),
          cluster.db.delete('never there'),
          other.batch([{ delete: key }, { put: `${key} too`, value: at }, { check: 'never there', ifAbsent: true }]),
          other.batch([{ check: 'never there', ifAbsent: true }]),
          cluster.db.put([key, at], new Uint8Array([at]), { codec: 'bytes' }),
        ]
        for (const ended of await Promise.allSettled(calls)) {
          if (ended.status === 'rejected') unknown.push(ended.reason.code)
        }
        await cluster.clock.sleep(50)
      }
    })
    expect(unknown).toContain('OUTCOME_UNKNOWN')
    expect(unknown).toContain('CONDITION_FAILED')
    await cluster.verify()
  })

  it('is missed on a replica that is behind it in the end', async () => {
    const cluster = new SimCluster({ seed: 1 })
    await cluster.start()
    const acknowledged = cluster.acknowledged()
    const { core } = cluster.clientCore((...written) => acknowledged.wrote(...written))
    await cluster.run(() => new HoldfastClient(core, 'msgpack').put('a', 1))
    await cluster.runWhile(() => cluster.unrest !== null, 5_000)
    acknowledged.checkHeld(cluster.nodes)
    expect(cluster.violations).toEqual([])
    const { place, store } = cluster.node(2)
    const replicas = [...store!.replicas].map(({ range, descriptor }) => ({ range, descriptor, clock: 5 }))
    acknowledged.checkHeld([{ place, store: { replicas } as never }])
    expect(cluster.violations).toEqual([
      expect.stringMatching(/^range 2 on node 2 is at version 5 and lacks "a" of version \d+, which was acknowledged$/),
    ])
  })
})

describe('real time inside run', () => {
  const waits: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['setTimeout', () => new Promise((resolve) => setTimeout(resolve, 1))],
    ['setInterval', () => new Promise((resolve) => setInterval(resolve, 1))],
    ['setImmediate', () => new Promise((resolve) => setImmediate(resolve))],
    ['setTimeout of node:timers/promises', () => sleep(1)],
    ['setTimeout', () => promisify(setTimeout)(1)],
    ['AbortSignal.timeout', async () => AbortSignal.timeout(1)],
    ['Atomics.wait', async () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)],
  ]

  it.each(waits)('%s throws an error that names cluster.clock', async (name, wait) => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const waiting = cluster.run(async () => {
      await cluster.db.get('a')
      await wait()
    })
    await expect(waiting).rejects.toThrow(RealTimeError)
    await expect(waiting).rejects.toThrow(name)
    await expect(waiting).rejects.toThrow('cluster.clock.sleep')
  })

  it('throws in an action of the clock, which keeps what is stored for its caller', async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const stored = new AsyncLocalStorage<string>()
    const found: unknown[] = []
    const look = () => {
      try {
        setTimeout(() => {}, 1)
      } catch (error) {
        found.push(error instanceof RealTimeError, stored.getStore())
      }
    }
    stored.run('before', () => cluster.clock.setTimer(1, look))
    await cluster.run(async () => {
      stored.run('inside', () => cluster.clock.setTimer(5, look))
      await cluster.clock.sleep(10)
      stored.run('later', () => cluster.clock.setTimer(1, look))
      cluster.crash(1)
    })
    await cluster.verify()
    expect(found).toEqual([true, 'before', true, 'inside', true, 'later'])
  })

  it('is left to others meanwhile, and is back afterwards', async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const real = [setTimeout, sleep]
    let running: Promise<unknown> | null = null
    await new Promise<void>((begun) => {
      running = cluster.run(async () => {
        begun()
        await cluster.db.put('a', 1)
      })
    })
    expect([setTimeout, sleep]).not.toEqual(real)
    await Promise.all([running, new Promise((resolve) => setTimeout(resolve)), new Promise(setImmediate)])
    expect([setTimeout, sleep]).toEqual(real)
  })

  it('what waits for anything else ends with an error that names cluster.clock', async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    await expect(cluster.run(() => new Promise(() => {}), { limitMs: 500 })).rejects.toThrow(
      /has not ended within 500 ms of virtual time.*cluster\.clock/,
    )
    await expect(cluster.run(() => cluster.db.put('a', 1))).resolves.toBeDefined()
  })

  it('one run at a time', async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const first = cluster.run(() => cluster.db.put('a', 1))
    await expect(cluster.run(() => cluster.db.put('a', 2))).rejects.toThrow('run is under way')
    await expect(cluster.verify()).rejects.toThrow('run is under way: call verify when it has ended')
    await first
    const verified = cluster.verify()
    await expect(cluster.run(() => cluster.db.get('a'))).rejects.toThrow('verify is under way')
    await verified
  })

  it('no time of a cluster inside a run', async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const other = simulate({ seed: 2, nodes: 1 })
    await cluster.run(async () => {
      await cluster.db.put('a', 1)
      await expect(cluster.verify()).rejects.toThrow('run is under way: call verify when it has ended')
      await expect(other.run(() => other.db.put('a', 1))).rejects.toThrow('run is called inside the run of another')
      await expect(other.verify()).rejects.toThrow('verify is called inside the run of another')
    })
    await Promise.all([cluster.run(() => cluster.db.get('a')), other.run(() => other.db.put('a', 1))])
    await Promise.all([cluster.verify(), other.verify()])
  })

  it("an action of the clock that throws is told as the user's own, and the cluster goes on", async () => {
    const cluster = simulate({ seed: 1, nodes: 1 })
    const cause = new Error('a bug')
    const fail = () => {
      throw cause
    }
    const failing = cluster.run(async () => {
      cluster.clock.setTimer(5, fail)
      await cluster.clock.sleep(50)
    })
    await expect(failing).rejects.toMatchObject({
      message: 'an action given to cluster.clock.setTimer threw Error: a bug',
      cause,
    })
    await cluster.run(() => cluster.db.put('a', 1))
    cluster.clock.setTimer(1, fail)
    cluster.crash(1)
    await expect(cluster.verify()).rejects.toThrow('threw Error: a bug')
    await cluster.verify()
  })
})
