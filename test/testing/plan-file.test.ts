import { describe, expect, it } from 'vitest'
import { FAULT_NAMES } from '../../src/testing/deeds.js'
import { CELLS } from '../../src/testing/directed.js'
import { type FaultPlan, nameOf } from '../../src/testing/fault-plan.js'
import { formatPlanFile, parsePlanFile } from '../../src/testing/plan-file.js'
import { planOf } from '../../src/testing/simulation.js'

const some = planOf({ seed: 5 })
const parse = (plan: unknown) => () => parsePlanFile(JSON.stringify({ format: 1, seed: 5, plan }))

describe('a plan file', () => {
  it('holds whatever is drawn, every kind of fault included', () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= CELLS.length; seed++) {
      const plan = planOf({ seed })
      expect(parsePlanFile(formatPlanFile({ seed, plan, reason: 'a test' }))).toEqual({
        format: 1,
        seed,
        plan,
        reason: 'a test',
      })
      for (const fault of plan.faults) seen.add(nameOf(fault))
    }
    expect([...seen].sort()).toEqual([...FAULT_NAMES].sort())
  })

  it('is refused by name of the place, with what stands there and what was expected', () => {
    expect(parse({ ...some, nodes: 'three' })).toThrow(
      /^this is no plan file:\n {2}plan\.nodes: .*expected number.*, found "three"$/,
    )
    expect(parse({ ...some, extra: 1 })).toThrow(/plan: .*extra/)
    expect(parse(withFault({ kind: 'flood' }))).toThrow(
      /plan\.faults\[0\]\.kind: expected one of crash, .*, found "flood"/,
    )
    expect(parse(withFault({ kind: 'crash', targets: ['lader'] }))).toThrow(
      /plan\.faults\[0\]\.targets\[0\]: expected a node's number or 'leader', found "lader"/,
    )
    expect(parse(withFault({ kind: 'full', target: 4 }))).toThrow(/plan\.faults\[0\]: there is no node 4 of 3/)
    expect(parse(withFault({ kind: 'full', target: 1, during: 'lunch' }))).toThrow(
      /faults\[0\]\.during: .*, found "lunch"/,
    )
    expect(parse(undefined)).toThrow(/plan: .*, found nothing/)
    expect(() => parsePlanFile('{')).toThrow(/^this is no plan file: /)
    expect(() => parsePlanFile('{"format":2}')).toThrow(/format: .*1.*, found 2/)
  })
})

function withFault(fault: object): FaultPlan {
  return { ...some, faults: [{ atMs: 1, forMs: 1, ...fault }] } as unknown as FaultPlan
}
