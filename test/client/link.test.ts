import { describe, expect, it } from 'vitest'
import { type LinkOwner, NodeLink } from '../../src/client/link.js'
import type { Connector } from '../../src/client/ports.js'
import { TimerWheel } from '../../src/client/wheel.js'
import { FakeClock, steadyRandom } from './fake-clock.js'

/** A link to a node that refuses every connection. */
function refused() {
  const clock = new FakeClock()
  let tries = 0
  const connector: Connector = {
    connect(_, { onClose }) {
      tries++
      onClose(new Error('refused'))
      return { send() {}, close() {} }
    },
  }
  const owner = { onDown() {} } as unknown as LinkOwner
  const wheel = new TimerWheel(clock)
  const link = new NodeLink('node-1:7400', { connector, clock, random: steadyRandom, wheel }, owner)
  return { clock, link, tries: () => tries }
}

/** Milliseconds until the link would be used again. */
function pauseOf({ clock, link }: ReturnType<typeof refused>): number {
  for (let ms = 0; ; ms += 5) if (link.isUsable(clock.nowMs + ms)) return ms
}

describe('a node that refuses connections', () => {
  it('is tried less and less often', () => {
    const node = refused()
    const pauses: number[] = []
    for (let failure = 0; failure < 8; failure++) {
      node.link.connectNow()
      pauses.push(pauseOf(node))
    }
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(500)
  })

  it('is tried soon again when another node names it as a leader, but not at every word', () => {
    const node = refused()
    for (let failure = 0; failure < 8; failure++) node.link.connectNow()
    node.link.hearOf()
    expect(pauseOf(node)).toBe(50)
    const before = node.tries()
    for (let word = 0; word < 100; word++) {
      node.link.hearOf()
      node.link.maybeConnect()
    }
    expect(node.tries()).toBe(before)
    node.clock.nowMs += 50
    node.link.maybeConnect()
    expect(node.tries()).toBe(before + 1)
    expect(pauseOf(node)).toBeLessThanOrEqual(50)
  })
})
