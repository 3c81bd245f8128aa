import fc from 'fast-check'
import { expect, it } from 'vitest'
import { checkLinearizability, describeOperations, type Operation } from '../../src/testing/linearizability.js'
import { times } from '../property.js'
import { type Arrival, asNode, raw, route, settled } from './fake-cluster.js'
import { ModelCluster } from './model-cluster.js'

/** The longest that a client waits before it tries again. */
const CLIENT_PAUSE_MS_MAX = 100
const STANDSTILLS_MAX = 50

const NAMES = ['a', 'b', 'c'] as const

type Step =
  | { readonly do: 'put' | 'get'; readonly name: (typeof NAMES)[number] }
  | { readonly do: 'getAll' }
  | { readonly do: 'cut'; readonly at: (typeof NAMES)[number]; readonly leader: number }
  | { readonly do: 'move'; readonly leader: number }

const name = fc.constantFrom(...NAMES)
const leader = fc.constantFrom(1, 2, 3)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), name }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('get' as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('getAll' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), at: name, leader }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), leader }) },
)

/** The cluster of the model, with everything that happens in it, executions and replies, in the scheduler's order. */
function scheduled(s: fc.Scheduler): ModelCluster {
  const cluster = new ModelCluster([route({ range: 2 }, 1)])
  const later = (label: string, action: () => void) => {
    void s.schedule(Promise.resolve(), label).then(action)
  }
  cluster.clock.defer = (action) => later('turn', action)
  cluster.answerAll((arrival: Arrival) => {
    const { reply } = arrival
    arrival.reply = (answer) => later(`answer ${arrival.request.id}`, () => reply.call(arrival, answer))
    later(`execute ${arrival.request.kind} ${arrival.request.id}`, () => cluster.execute(arrival))
  })
  return cluster
}

it('calls of one client, executed and answered in any order while ranges split and leaders move, are linearizable', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 1, maxLength: 8 }), async (s, steps) => {
      const cluster = scheduled(s)
      const history: Operation[] = []
      let moment = 0
      const call = async (at: number, each: Step & { readonly do: 'put' | 'get' | 'getAll' }): Promise<void> => {
        const invoke = ++moment
        const timed = (key: string) => ({ client: at, key, invoke, complete: moment, status: 'ok' as const })
        if (each.do === 'put') {
          const value = `v${at}`
          const write = { kind: 'put' as const, key: raw(each.name), codec: 'utf8' as const, value: Buffer.from(value) }
          await cluster.core.write({ conditions: [], writes: [write], wantValue: false })
          moment++
          history.push({ ...timed(each.name), op: 'put', value })
          return
        }
        const names = each.do === 'get' ? [each.name] : NAMES
        const rows = await cluster.core.get(names.map(raw))
        moment++
        for (const [place, key] of names.entries()) {
          const row = rows[place] ?? null
          history.push({ ...timed(key), op: 'get', result: row === null ? null : Buffer.from(row.value).toString() })
        }
      }
      const calls: Promise<void>[] = []
      const take = (at: number, each: Step): void => {
        if (each.do === 'cut') maybeCut(cluster, each)
        else if (each.do === 'move') move(cluster, each.leader)
        else calls.push(call(at, each))
      }
      const taken = steps.map((each, at) =>
        s.schedule(Promise.resolve(), `step ${at}: ${each.do}`).then(() => take(at, each)),
      )
      await finish(s, cluster, Promise.all(taken))
      await finish(s, cluster, Promise.all(calls))
      const verdict = checkLinearizability(history)
      if (verdict.kind === 'illegal') throw new Error(describeOperations(verdict.piece))
      expect(verdict.kind).toBe('legal')
      // Nothing was executed twice: an answer that is late is no reason to ask again.
      const writes = cluster.executed.filter(({ kind }) => kind === 'write').length
      expect(writes).toBe(steps.filter((each) => each.do === 'put').length)
    }),
    times(300, 64),
  )
})

/** Time passes only when nothing else can happen: a client that was sent round in circles waits a moment before it asks again. */
async function finish(s: fc.Scheduler, cluster: ModelCluster, promise: Promise<unknown>): Promise<void> {
  let isDone = false
  const done = promise.finally(() => {
    isDone = true
  })
  done.catch(() => {})
  for (let stood = 0; !isDone; ) {
    await settled()
    if (s.count() > 0) await s.waitOne()
    else if (!isDone) {
      expect(++stood).toBeLessThanOrEqual(STANDSTILLS_MAX)
      cluster.clock.advance(CLIENT_PAUSE_MS_MAX)
    }
  }
  await done
}

function maybeCut(cluster: ModelCluster, { at, leader: by }: { at: string; leader: number }): void {
  const key = raw(at)
  if (cluster.truth.every(({ descriptor }) => descriptor.span.start !== key)) cluster.cut(key, by)
}

function move(cluster: ModelCluster, to: number): void {
  cluster.truth = cluster.truth.map(({ descriptor }) => ({ descriptor, leader: asNode(to) }))
}
