import { describe, expect, it } from 'vitest'
import type { Version } from '../../src/base/ids.js'
import { neverBuggify } from '../../src/base/ports.js'
import type { GetRequest, Reply, ScanRequest } from '../../src/kv/requests.js'
import type { StateStore } from '../../src/storage/types.js'
import type { Outbox } from '../../src/store/outbox.js'
import { ReadAnswers } from '../../src/store/read-answers.js'
import type { Replica } from '../../src/store/replica.js'
import type { Routes } from '../../src/store/routes.js'
import { Client, get, scan, v } from './requests.js'

/** A range at version 50 that collects up to `floor`, on a disk that answers when told to. */
function reading() {
  const due: (() => void)[] = []
  const replies: Reply[] = []
  const bookkeeping = { collectionFloor: v(10) }
  const state = {
    peek: () => undefined,
    prepareFetch: () => ({ start: (done: (found: readonly null[]) => void) => due.push(() => done([null])) }),
    scan: (_: unknown, done: (rows: readonly never[], more: boolean) => void) => due.push(() => done([], false)),
  } as unknown as StateStore
  const span = { start: '', end: null }
  const replica = {
    hasState: true,
    clock: v(50),
    descriptor: { span, generation: 1 },
    machine: { bookkeeping },
    storageOf: () => 1,
  } as unknown as Replica
  const answers = new ReadAnswers({
    state,
    outbox: { reply: (_: unknown, reply: Reply) => replies.push(reply) } as unknown as Outbox,
    routes: {} as Routes,
    buggify: neverBuggify,
    monotonicMs: () => 0,
    touch: () => {},
  })
  const ask = (request: GetRequest | ScanRequest) =>
    answers.serve(replica, { request, sink: new Client(), bytes: 1, expiresAt: 1 })
  const answered = () => {
    for (const answer of due.splice(0)) answer()
    return replies.splice(0).map((reply) => (reply.kind === 'error' ? reply.error.code : reply.kind))
  }
  const raiseFloor = (to: Version) => {
    bookkeeping.collectionFloor = to
  }
  return { ask, answered, raiseFloor }
}

const page = (at: Version | null): ScanRequest => ({ ...scan('a', 'z'), at })
const key = get(['a'])

describe('a read that waits for the disk', () => {
  it('is answered while its version is kept', () => {
    const { ask, answered, raiseFloor } = reading()
    for (const request of [page(v(20)), page(null), key]) ask(request)
    raiseFloor(v(20))
    expect(answered()).toEqual(['page', 'page', 'rows'])
  })

  it('is refused once its version is let go of: what it should have seen may have been deleted before it was read', () => {
    const { ask, answered, raiseFloor } = reading()
    ask(page(v(20)))
    raiseFloor(v(21))
    expect(answered()).toEqual(['BELOW_FLOOR'])
    // These did not choose the version: they may be asked again, and see a newer one.
    for (const request of [page(null), key]) ask(request)
    raiseFloor(v(51))
    expect(answered()).toEqual(['UNAVAILABLE', 'UNAVAILABLE'])
  })

  it('is refused at once below the floor', () => {
    const { ask, answered } = reading()
    ask(page(v(9)))
    expect(answered()).toEqual(['BELOW_FLOOR'])
  })
})
