import { describe, expect, it } from 'vitest'
import { checkHistory, type HistoryDemands } from '../../src/testing/check-history.js'
import type { Operation } from '../../src/testing/linearizability.js'
import { corpus } from './corpus.js'

function put(client: number, value: string, [invoke, complete]: readonly [number, number], status = 'ok'): Operation {
  return { client, key: 'k', op: 'put', value, invoke, complete, status: status as Operation['status'] }
}

function get(
  client: number,
  result: string | null,
  [invoke, complete]: readonly [number, number],
  key = 'k',
): Operation {
  return { client, key, op: 'get', result, invoke, complete, status: 'ok' }
}

const small = [put(1, 'a', [1, 2]), get(2, 'a', [3, 4])]

function lack(operations: readonly Operation[], demands?: HistoryDemands): string {
  const verdict = checkHistory(operations, demands)
  return verdict.kind === 'refused' ? verdict.lack : verdict.kind
}

describe('a history that proves too little is refused by name', () => {
  it('nothing', () => {
    expect(lack([])).toBe('TOO_FEW_OK')
  })

  it('too few operations that succeeded', () => {
    expect(lack(small, { okMin: 2 })).toBe('legal')
    expect(lack([...small, put(3, 'b', [5, 6], 'info'), put(4, 'c', [5, 6], 'fail')], { okMin: 3 })).toBe('TOO_FEW_OK')
  })

  it('too few keys on which enough happened', () => {
    expect(lack(small, { busyKeysMin: { keys: 1, ok: 2 } })).toBe('legal')
    expect(lack([...small, get(2, null, [5, 6], 'other')], { busyKeysMin: { keys: 2, ok: 2 } })).toBe(
      'TOO_FEW_BUSY_KEYS',
    )
  })

  it('too few reads', () => {
    expect(lack([put(1, 'a', [1, 2])])).toBe('TOO_FEW_READS')
    expect(lack(small, { readShareMin: 0.6 })).toBe('TOO_FEW_READS')
  })

  it('reads that saw no data', () => {
    expect(lack([get(1, null, [1, 2]), get(1, null, [3, 4]), put(1, 'a', [5, 6])])).toBe('READS_SAW_NOTHING')
  })

  it('too few writes of unknown outcome, where they are asked for', () => {
    expect(lack([...small, put(3, 'b', [1, 9], 'info')], { unknownShareMin: 0.5 })).toBe('legal')
    expect(lack(small, { unknownShareMin: 0.05 })).toBe('TOO_FEW_UNKNOWN')
  })

  it('a client that does two things at once', () => {
    expect(lack([put(1, 'a', [1, 4]), get(1, 'a', [3, 5])])).toBe('CLIENT_OVERLAPS')
    expect(lack([put(1, 'a', [1, 3]), get(1, 'a', [3, 5])])).toBe('legal')
  })

  it('a client that goes on under its name after an operation of unknown outcome', () => {
    expect(lack([put(1, 'a', [1, 2], 'info'), get(1, 'a', [3, 5])])).toBe('CLIENT_OVERLAPS')
    expect(lack([put(1, 'a', [1, 2], 'info'), get(2, 'a', [3, 5])])).toBe('legal')
  })

  it('but not one call that names several keys', () => {
    expect(lack([put(1, 'a', [1, 2]), get(1, 'a', [3, 5]), get(1, null, [3, 6], 'other')])).toBe('legal')
    expect(lack([put(1, 'a', [1, 2]), get(1, 'a', [3, 5]), get(1, null, [3, 6], 'other'), get(1, 'a', [5, 7])])).toBe(
      'CLIENT_OVERLAPS',
    )
  })

  it('two writes of one value to one key', () => {
    expect(lack([...small, put(1, 'a', [5, 6])])).toBe('VALUES_NOT_UNIQUE')
    expect(lack([...small, { ...put(1, 'a', [5, 6]), key: 'other' }])).toBe('legal')
  })
})

it('what is refused for nothing gets its verdict', () => {
  const open = { readShareMin: 0, foundShareMin: 0 }
  const verdicts = corpus().map(({ verdict, history }) => [lack(history, open), verdict] as const)
  const looked = verdicts.filter(([found]) => found === 'legal' || found === 'illegal')
  expect(looked.length).toBeGreaterThan(25)
  for (const [found, verdict] of looked) expect(found).toBe(verdict)
})
