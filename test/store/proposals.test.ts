import { describe, expect, it } from 'vitest'
import type { LogIndex, Term, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import type { Command } from '../../src/kv/types.js'
import { type Proposal, Proposals } from '../../src/store/proposals.js'
import { failed, failure, type Settled } from '../../src/store/replies.js'
import { v } from './requests.js'

const NOW = { above: v(0), now: v(0), monotonicMs: 1_000 }
const at = (index: number, term: number) => ({ index: index as LogIndex, term: term as Term })

class Asked {
  readonly settled: Settled[] = []
  readonly versions: Version[] = []

  proposal(parts: Partial<Proposal> = {}): Proposal {
    return {
      bytes: 100,
      seen: v(0),
      expiresAt: Number.POSITIVE_INFINITY,
      endsEntry: false,
      make: (version): Command => {
        this.versions.push(version)
        return { kind: 'sessionFloor', version, floor: v(0) }
      },
      settle: (settled) => this.settled.push(settled),
      ...parts,
    }
  }

  get codes(): string[] {
    return this.settled.map((settled) => (settled.kind === 'failed' ? settled.error.code : settled.kind))
  }
}

function offered(count: number, parts: Partial<Proposal> = {}) {
  const [proposals, asked] = [new Proposals(), new Asked()]
  for (let left = count; left > 0; left--) expect(proposals.offer(asked.proposal(parts))).toBe(true)
  return { proposals, asked }
}

describe('an entry', () => {
  it('gathers all commands that wait', () => {
    const { proposals } = offered(17)
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(17)
    expect(proposals.waiting).toBe(0)
    expect(proposals.takeEntry(NOW)).toBeNull()
  })

  it('is bounded in commands, and the rest goes into the next ones', () => {
    const { proposals } = offered(limits.entryCommandsMax + 5)
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(limits.entryCommandsMax)
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(5)
  })

  it('is bounded in bytes, and one command that is larger travels alone', () => {
    const half = limits.entryBytesTarget / 2
    const { proposals, asked } = offered(3, { bytes: half })
    proposals.offer(asked.proposal({ bytes: 3 * limits.entryBytesTarget }))
    proposals.offer(asked.proposal())
    const sizes = []
    for (let entry = proposals.takeEntry(NOW); entry !== null; entry = proposals.takeEntry(NOW)) sizes.push(entry.bytes)
    expect(sizes).toEqual([2 * half, half, 3 * limits.entryBytesTarget, 100])
  })

  it('ends with a split', () => {
    const { proposals, asked } = offered(2)
    proposals.offer(asked.proposal({ endsEntry: true }))
    proposals.offer(asked.proposal())
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(3)
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(1)
  })

  it('gives each command a version of its own: above the log, above what its client saw, not below log time', () => {
    const { proposals, asked } = offered(2)
    proposals.offer(asked.proposal({ seen: v(500) }))
    proposals.offer(asked.proposal())
    proposals.takeEntry({ ...NOW, above: v(100), now: v(50) })
    expect(asked.versions).toEqual([101, 102, 501, 502])
    proposals.offer(asked.proposal())
    proposals.takeEntry({ ...NOW, above: v(502), now: v(9_000) })
    expect(asked.versions.at(-1)).toBe(9_000)
  })

  it('leaves out what has expired, which is refused as DEADLINE and gives its room back', () => {
    const { proposals, asked } = offered(1, { expiresAt: 1_000, bytes: limits.rangeProposalBytesMax })
    expect(proposals.takeEntry(NOW)).toBeNull()
    expect(asked.codes).toEqual(['DEADLINE'])
    expect(asked.versions).toEqual([])
    expect(proposals.offer(asked.proposal({ bytes: limits.rangeProposalBytesMax }))).toBe(true)
  })
})

describe('what waits and what is in flight', () => {
  it('is bounded in bytes together, until it is applied', () => {
    const { proposals, asked } = offered(16, { bytes: limits.rangeProposalBytesMax / 16 })
    expect(proposals.offer(asked.proposal())).toBe(false)
    const entry = proposals.takeEntry(NOW)!
    proposals.proposed(at(5, 1).index, { ...entry, term: 1 as Term })
    expect(proposals.offer(asked.proposal())).toBe(false)
    expect(proposals.takeApplied(at(5, 1))?.proposals).toHaveLength(entry.proposals.length)
    expect(proposals.offer(asked.proposal())).toBe(true)
  })

  it('another entry applied in its place settles it as certainly not applied', () => {
    const { proposals, asked } = offered(2)
    proposals.proposed(at(5, 1).index, { ...proposals.takeEntry(NOW)!, term: 1 as Term })
    expect(proposals.commandsAt(at(5, 2))).toBeNull()
    expect(proposals.takeApplied(at(5, 2))).toBeNull()
    expect(asked.codes).toEqual(['NOT_LEADER', 'NOT_LEADER'])
    expect(proposals.inFlight).toBe(0)
  })

  it('when the lead is lost, what waits was not applied and what is in flight may be; both make room', () => {
    const { proposals, asked } = offered(1, { bytes: limits.rangeProposalBytesMax / 2 })
    proposals.proposed(at(5, 1).index, { ...proposals.takeEntry(NOW)!, term: 1 as Term })
    const waiting = new Asked()
    proposals.offer(waiting.proposal({ bytes: limits.rangeProposalBytesMax / 2 }))
    proposals.leadLost(failed(failure('NOT_LEADER', '')), failed(failure('OUTCOME_UNKNOWN', '')))
    expect(waiting.codes).toEqual(['NOT_LEADER'])
    expect(asked.codes).toEqual(['OUTCOME_UNKNOWN'])
    expect([proposals.waiting, proposals.inFlight]).toEqual([0, 0])
    expect(proposals.offer(waiting.proposal({ bytes: limits.rangeProposalBytesMax }))).toBe(true)
    expect(proposals.takeApplied(at(5, 1))).toBeNull()
  })

  it('what is offered anew by whoever is told that the lead is lost is kept', () => {
    const proposals = new Proposals()
    const again = new Asked()
    const asked = new Asked().proposal({ settle: () => proposals.offer(again.proposal()) })
    proposals.offer(asked)
    proposals.leadLost(failed(failure('NOT_LEADER', '')), failed(failure('OUTCOME_UNKNOWN', '')))
    expect(proposals.waiting).toBe(1)
    expect(again.codes).toEqual([])
    expect(proposals.takeEntry(NOW)?.commands).toHaveLength(1)
  })
})
