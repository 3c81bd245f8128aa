import type { Operation } from '../../src/testing/linearizability.js'

export interface Case {
  readonly name: string
  readonly verdict: 'legal' | 'illegal'
  readonly history: readonly Operation[]
}

type Times = readonly [invoke: number, complete: number]

function put(value: string, [invoke, complete]: Times, status: Operation['status'] = 'ok', key = 'k'): Operation {
  return { client: 1, key, op: 'put', value, invoke, complete, status }
}

function get(result: string | null, [invoke, complete]: Times, key = 'k'): Operation {
  return { client: 2, key, op: 'get', result, invoke, complete, status: 'ok' }
}

function remove([invoke, complete]: Times, result?: boolean, status: Operation['status'] = 'ok'): Operation {
  return { client: 3, key: 'k', op: 'delete', invoke, complete, status, ...(result === undefined ? {} : { result }) }
}

function cas(
  change: readonly [expect: string | null, value: string],
  result: boolean,
  [invoke, complete]: Times,
  status: Operation['status'] = 'ok',
): Operation {
  return { client: 4, key: 'k', op: 'cas', expect: change[0], value: change[1], result, invoke, complete, status }
}

/** Small histories whose verdict is plain to a reader. */
export const cases: readonly Case[] = [
  { name: 'nothing', verdict: 'legal', history: [] },
  { name: 'a read of an absent key', verdict: 'legal', history: [get(null, [1, 2])] },
  { name: 'a read of a value from nowhere', verdict: 'illegal', history: [get('a', [1, 2])] },
  { name: 'a write, then its read', verdict: 'legal', history: [put('a', [1, 2]), get('a', [3, 4])] },
  { name: 'a lost write', verdict: 'illegal', history: [put('a', [1, 2]), get(null, [3, 4])] },
  {
    name: 'a stale read after a newer one was acknowledged',
    verdict: 'illegal',
    history: [put('a', [1, 2]), put('b', [3, 4]), get('a', [5, 6])],
  },
  {
    name: 'two reads around a write in flight, old then new',
    verdict: 'legal',
    history: [put('a', [1, 2]), put('b', [3, 10]), get('a', [4, 5]), get('b', [6, 7])],
  },
  {
    name: 'two reads around a write in flight, new then old',
    verdict: 'illegal',
    history: [put('a', [1, 2]), put('b', [3, 10]), get('b', [4, 5]), get('a', [6, 7])],
  },
  {
    name: 'concurrent writes seen in one order',
    verdict: 'legal',
    history: [put('a', [1, 9]), put('b', [2, 8]), get('b', [10, 11]), get('b', [12, 13])],
  },
  {
    name: 'concurrent writes that swap places between two reads',
    verdict: 'illegal',
    history: [put('a', [1, 9]), put('b', [2, 8]), get('b', [10, 11]), get('a', [12, 13])],
  },
  {
    name: 'an unknown write that is never seen',
    verdict: 'legal',
    history: [put('a', [1, 2]), put('b', [3, 4], 'info'), get('a', [5, 6])],
  },
  {
    name: 'an unknown write that is seen much later',
    verdict: 'legal',
    history: [put('a', [1, 2]), put('b', [3, 4], 'info'), get('a', [5, 6]), get('b', [7, 8])],
  },
  {
    name: 'an unknown write that takes effect twice',
    verdict: 'illegal',
    history: [put('b', [1, 2], 'info'), get('b', [3, 4]), put('a', [5, 6]), get('a', [7, 8]), get('b', [9, 10])],
  },
  {
    name: 'an unknown write that is seen before it was called',
    verdict: 'illegal',
    history: [get('a', [1, 2]), put('a', [3, 4], 'info')],
  },
  {
    name: 'a failed write that is seen',
    verdict: 'illegal',
    history: [put('a', [1, 2], 'fail'), get('a', [3, 4])],
  },
  {
    name: 'a failed write that is not seen',
    verdict: 'legal',
    history: [put('a', [1, 2], 'fail'), get(null, [3, 4])],
  },
  {
    name: 'two conditional writes on one value that both succeed',
    verdict: 'illegal',
    history: [put('a', [1, 2]), cas(['a', 'b'], true, [3, 8]), cas(['a', 'c'], true, [4, 9])],
  },
  {
    name: 'two conditional writes in a chain',
    verdict: 'legal',
    history: [put('a', [1, 2]), cas(['b', 'c'], true, [3, 8]), cas(['a', 'b'], true, [4, 9]), get('c', [10, 11])],
  },
  {
    name: 'a conditional write refused although its condition held all the time',
    verdict: 'illegal',
    history: [put('a', [1, 2]), cas(['a', 'b'], false, [3, 4])],
  },
  {
    name: 'a conditional write of unknown outcome whose value is seen',
    verdict: 'legal',
    history: [put('a', [1, 2]), cas(['a', 'b'], true, [3, 4], 'info'), get('b', [5, 6])],
  },
  {
    name: 'a conditional write of unknown outcome seen although its condition never held',
    verdict: 'illegal',
    history: [put('a', [1, 2]), cas(['x', 'b'], true, [3, 4], 'info'), get('b', [5, 6])],
  },
  {
    name: 'a chain of conditional writes of unknown outcome',
    verdict: 'legal',
    history: [
      put('a', [1, 2]),
      cas(['a', 'b'], true, [3, 4], 'info'),
      cas(['b', 'c'], true, [5, 6], 'info'),
      get('a', [7, 8]),
      get('c', [9, 10]),
    ],
  },
  { name: 'a create on an absent key', verdict: 'legal', history: [cas([null, 'a'], true, [1, 2]), get('a', [3, 4])] },
  {
    name: 'two creates of one key that both succeed',
    verdict: 'illegal',
    history: [cas([null, 'a'], true, [1, 5]), cas([null, 'b'], true, [2, 6])],
  },
  {
    name: 'a delete, then a read of nothing',
    verdict: 'legal',
    history: [put('a', [1, 2]), remove([3, 4], true), get(null, [5, 6])],
  },
  {
    name: 'a deleted value that comes back',
    verdict: 'illegal',
    history: [put('a', [1, 2]), remove([3, 4]), get('a', [5, 6])],
  },
  {
    name: 'a delete that found nothing where something was',
    verdict: 'illegal',
    history: [put('a', [1, 2]), remove([3, 4], false)],
  },
  {
    name: 'an unknown delete explains an absent key once',
    verdict: 'illegal',
    history: [
      put('a', [1, 2]),
      remove([3, 4], undefined, 'info'),
      get(null, [5, 6]),
      put('b', [7, 8]),
      get(null, [9, 10]),
    ],
  },
  {
    name: 'one key old, another new',
    verdict: 'legal',
    history: [put('a', [1, 2], 'ok', 'x'), put('b', [3, 9], 'ok', 'y'), get('a', [4, 5], 'x'), get(null, [6, 7], 'y')],
  },
]
