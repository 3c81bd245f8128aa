import { describe, expect, it } from 'vitest'
import type { Reply, Request } from '../../src/kv/requests.js'
import { ClientTally } from '../../src/testing/client-tally.js'

const write = (session: string, sequence: number) =>
  ({ kind: 'write', origin: { session, sequence } }) as never as Request
const get = { kind: 'get' } as Request
const refusal = (code: string) => ({ kind: 'error', error: { code } }) as never as Reply

describe('the tally of what clients come by', () => {
  it('counts what leaves again under the number of a session', () => {
    const tally = new ClientTally()
    tally.sends([write('a', 1), get, write('b', 1)])
    expect(tally.counts).toEqual({})
    tally.sends([write('a', 2), write('b', 1)])
    tally.sends([write('a', 1), get])
    expect(tally.counts).toEqual({ 'sent again': 2 })
  })

  it('counts refusals by their code', () => {
    const tally = new ClientTally()
    tally.hears([refusal('NOT_LEADER'), { kind: 'rows' } as Reply, refusal('NOT_LEADER'), refusal('SESSION_EXPIRED')])
    expect(tally.counts).toEqual({ 'refused NOT_LEADER': 2, 'refused SESSION_EXPIRED': 1 })
  })
})
