import { expect, test } from 'vitest'
import { rangesTable } from '../../cli/status-tables.js'
import type { ClusterStatus } from '../../src/client/index.js'

test('a replica that waits for its state is not shown as whole', () => {
  const state = { role: 'follower', term: 1, applied: 5, commit: 5, lastIndex: 5, digest: 1 } as const
  const range = { id: 2, start: null, end: null, generation: 1, leader: 1, replicas: [1, 2, 3], members: [] }
  const states = [
    { ...state, node: 1, hasState: true },
    { ...state, node: 3, hasState: false },
  ]
  const status: ClusterStatus = { cluster: 'c', nodes: [], ranges: [{ ...range, states }] }
  // Of node 2, which does not answer, nothing is known.
  expect(rangesTable(status)).toContain('1 2 3 (no state)')
})
