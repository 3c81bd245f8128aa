import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type ErrorCode, errorCatalogue, errorCodes } from '../../src/base/errors.js'
import { type Arrival, FakeCluster, outcomeOf, raw, route, settled } from './fake-cluster.js'

/** What a write, and a read, ends with when this is all it is told until its deadline. */
interface Ending {
  readonly code: ErrorCode
  readonly mayHaveBeenApplied: boolean
}

const definite = (code: ErrorCode): Ending => ({ code, mayHaveBeenApplied: false })
const unknown: Ending = { code: 'OUTCOME_UNKNOWN', mayHaveBeenApplied: true }

/** Per refusal: what is told if every send was answered with it. */
const afterRefusals: Record<ErrorCode, Ending> = {
  NOT_LEADER: definite('UNAVAILABLE'),
  RANGE_MOVED: definite('UNAVAILABLE'),
  CONDITION_FAILED: definite('CONDITION_FAILED'),
  CROSSES_RANGES: definite('CROSSES_RANGES'),
  TOO_LARGE: definite('TOO_LARGE'),
  INVALID_ARGUMENT: definite('INVALID_ARGUMENT'),
  OVERLOADED: definite('OVERLOADED'),
  DISK_FULL: definite('DISK_FULL'),
  UNAVAILABLE: definite('UNAVAILABLE'),
  DEADLINE: definite('DEADLINE'),
  OUTCOME_UNKNOWN: unknown,
  SESSION_EXPIRED: definite('UNAVAILABLE'),
  BELOW_FLOOR: definite('BELOW_FLOOR'),
  WRONG_CLUSTER: definite('WRONG_CLUSTER'),
  VERSION_TOO_FAR: definite('VERSION_TOO_FAR'),
  NOT_PERMITTED: definite('NOT_PERMITTED'),
  CANCELLED: definite('CANCELLED'),
  INTERNAL: { code: 'INTERNAL', mayHaveBeenApplied: true },
}

/** Refuses every request with `code` as it comes, until nothing comes any more. */
async function refuseAll(cluster: FakeCluster, code: ErrorCode): Promise<void> {
  cluster.answerAll((arrival) => arrival.refuse(code))
  cluster.clock.advance(6_000)
  await settled()
}

/** The first send of a write, lost with its connection: nobody knows what became of it. */
function loseFirstSend(cluster: FakeCluster): void {
  cluster.turn()
  cluster.node(1).takeOne('write')
  cluster.node(1).drop()
}

describe('what a write ends with', () => {
  it.each(errorCodes)('every send refused with %s', async (code) => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    await refuseAll(cluster, code)
    expect(written.error).toMatchObject(afterRefusals[code])
  })

  it.each(errorCodes)('one send lost, every other refused with %s: only an outcome is certain', async (code) => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    loseFirstSend(cluster)
    await refuseAll(cluster, code)
    if (code === 'CONDITION_FAILED') expect(written.error).toMatchObject(definite('CONDITION_FAILED'))
    else expect(written.error).toMatchObject({ mayHaveBeenApplied: true })
  })

  it.each(errorCodes)('a read refused with %s never says that something may have been applied', async (code) => {
    const cluster = new FakeCluster()
    const read = outcomeOf(cluster.core.get([raw('a')]))
    await refuseAll(cluster, code)
    expect(read.error).toMatchObject({ mayHaveBeenApplied: false })
    expect(read.error).not.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  })

  it.each(errorCodes)('%s is retried exactly if the catalogue says that the SDK does it', async (code) => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.node(1).takeOne('write').refuse(code)
    cluster.clock.advance(500)
    const isRetried = cluster.nodes.some((node) => node.arrived.length > 0)
    expect(isRetried).toBe(errorCatalogue[code].retry === 'sdk' || code === 'OUTCOME_UNKNOWN')
  })

  const paths: readonly (readonly [string, Ending, (cluster: FakeCluster, abort: AbortController) => void])[] = [
    ['never sent, deadline', definite('UNAVAILABLE'), (cluster) => cluster.clock.advance(6_000)],
    ['never sent, aborted', definite('CANCELLED'), (_, abort) => abort.abort()],
    ['never sent, client closed', definite('CANCELLED'), (cluster) => cluster.core.close()],
    [
      'queued for this tick, aborted',
      definite('CANCELLED'),
      (cluster, abort) => {
        cluster.routes = cluster.routes ?? []
        abort.abort()
        cluster.turn()
      },
    ],
  ]

  it.each(paths)('%s', async (_, ending, act) => {
    const cluster = new FakeCluster({ routes: null })
    const abort = new AbortController()
    const written = cluster.write(raw('a'), { signal: abort.signal })
    act(cluster, abort)
    await settled()
    expect(written.error).toMatchObject(ending)
  })

  const sentPaths: readonly (readonly [string, Ending, (cluster: FakeCluster, abort: AbortController) => void])[] = [
    ['sent, no answer until the deadline', unknown, (cluster) => cluster.clock.advance(6_000)],
    ['sent, aborted', unknown, (_, abort) => abort.abort()],
    ['sent, client closed', unknown, (cluster) => cluster.core.close()],
    [
      'sent, connection lost, nobody there any more',
      unknown,
      (cluster) => {
        for (const node of cluster.nodes) {
          node.mode = 'refuse'
          node.drop()
        }
        cluster.clock.advance(6_000)
      },
    ],
  ]

  it.each(sentPaths)('%s', async (_, ending, act) => {
    const cluster = new FakeCluster()
    const abort = new AbortController()
    const written = cluster.write(raw('a'), { signal: abort.signal })
    cluster.turn()
    act(cluster, abort)
    await settled()
    expect(written.error).toMatchObject(ending)
  })

  it('refused for certain, then given up during the pause: certainly not applied', async () => {
    const cluster = new FakeCluster()
    const abort = new AbortController()
    const written = cluster.write(raw('a'), { signal: abort.signal })
    cluster.turn()
    cluster.node(1).takeOne('write').refuse('OVERLOADED')
    abort.abort()
    await settled()
    expect(written.error).toMatchObject(definite('CANCELLED'))
  })

  it('a late success of an earlier send is the outcome', async () => {
    const cluster = new FakeCluster()
    const written = cluster.write()
    cluster.turn()
    const owed = cluster.node(1).takeOne('write')
    cluster.clock.advance(600)
    const hedge = cluster.nodes.flatMap<Arrival>((node) => node.arrived)[0]!
    owed.written(2_000_000)
    hedge.refuse('CONDITION_FAILED')
    await settled()
    expect(written.value?.version).toBe(2_000_000)
  })

  it('a batch whose keys a split has parted since goes where its outcome is remembered', async () => {
    const cluster = new FakeCluster()
    const put = (name: string) => ({ kind: 'put', key: raw(name), codec: 'bytes', value: Uint8Array.of(1) }) as const
    const batch = outcomeOf(cluster.core.write({ conditions: [], writes: [put('a'), put('z')], wantValue: false }))
    loseFirstSend(cluster)
    const parted = [
      route({ range: 2, generation: 2, end: raw('m') }, 2),
      route({ range: 3, generation: 2, start: raw('m') }, 3),
    ]
    cluster.turn()
    cluster.nodes.flatMap<Arrival>((node) => node.arrived.splice(0))[0]!.refuse('RANGE_MOVED', { routes: parted })
    cluster.turn()
    const repeat = cluster.node(2).takeOne('write')
    expect(repeat.request).toMatchObject({ range: 2, generation: 2, origin: { sequence: 1 } })
    repeat.written(2_000_000)
    await settled()
    expect(batch.value?.version).toBe(2_000_000)
  })

  it('a split is classified as a write is', async () => {
    const cluster = new FakeCluster()
    const split = outcomeOf(cluster.core.split(raw('m')))
    cluster.turn()
    expect(cluster.node(1).takeOne('split').request.origin).toMatchObject({ sequence: 1 })
    cluster.clock.advance(6_000)
    await settled()
    expect(split.error).toMatchObject(unknown)
  })
})

describe('deadlines and signals', () => {
  it('a read whose last try nobody answers tells what the try before was told', async () => {
    const cluster = new FakeCluster({ nodes: 1 })
    const read = outcomeOf(cluster.core.get([raw('a')], { deadlineMs: 300 }))
    cluster.turn()
    cluster.node(1).takeOne('get').refuse('NOT_LEADER', { message: 'the state is lost' })
    cluster.clock.advance(400)
    await settled()
    expect(read.error).toMatchObject({
      ...definite('DEADLINE'),
      message: 'node-1:7400 did not answer before the deadline; before that: the state is lost',
    })
  })

  it('a read that nobody answers ends with DEADLINE, at most 4 ms late', async () => {
    const cluster = new FakeCluster({ nodes: 1 })
    const read = outcomeOf(cluster.core.get([raw('a')], { deadlineMs: 400 }))
    cluster.clock.advance(399)
    await settled()
    expect(read.error).toBeUndefined()
    cluster.clock.advance(5)
    await settled()
    expect(read.error).toMatchObject(definite('DEADLINE'))
  })

  it('every request says how long its caller still waits', () => {
    const cluster = new FakeCluster()
    cluster.write(raw('a'), { deadlineMs: 2_000 })
    cluster.turn()
    const first = cluster.node(1).takeOne('write')
    expect(first.request.deadlineMs).toBe(2_000)
    cluster.clock.advance(300)
    first.refuse('OVERLOADED')
    cluster.clock.advance(100)
    const left = cluster.nodes.flatMap((node) => node.arrived)[0]!.request.deadlineMs
    expect(left).toBeGreaterThan(1_500)
    expect(left).toBeLessThanOrEqual(1_700)
  })

  it.each([0, -1, Number.NaN, 600_001])('a deadline of %d ms is refused by name', async (deadlineMs) => {
    const written = new FakeCluster().write(raw('a'), { deadlineMs })
    await settled()
    expect(written.error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(String(deadlineMs)),
    })
  })

  it('a signal that was given up before is honoured, and none is listened to afterwards', async () => {
    const cluster = new FakeCluster()
    const early = cluster.write(raw('a'), { signal: AbortSignal.abort('enough') })
    const abort = new AbortController()
    const written = cluster.write(raw('a'), { signal: abort.signal })
    cluster.turn()
    cluster.node(1).takeOne('write').written(2_000_000)
    expect(getEventListeners(abort.signal, 'abort')).toEqual([])
    abort.abort()
    await settled()
    expect(early.error).toMatchObject({ ...definite('CANCELLED'), cause: 'enough' })
    expect(written.value).toBeDefined()
  })

  it('close refuses what comes later, ends the connections and leaves no timer', async () => {
    const cluster = new FakeCluster()
    cluster.write()
    cluster.turn()
    cluster.core.close()
    cluster.core.close()
    const late = cluster.write()
    await settled()
    expect(late.error).toMatchObject(definite('CANCELLED'))
    expect(cluster.nodes.every((node) => node.connections.size === 0)).toBe(true)
    expect(cluster.clock.timers).toBe(0)
  })
})
