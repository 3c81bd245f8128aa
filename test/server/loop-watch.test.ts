import { describe, expect, test } from 'vitest'
import { LoopWatch } from '../../src/server/loop-watch.js'
import { FakeClock } from '../client/fake-clock.js'

function watched() {
  const clock = new FakeClock()
  const turns: number[] = []
  const watch = new LoopWatch({ observe: (_, seconds) => turns.push(seconds), count() {} }, clock)
  return { clock, watch, turns, store: watch.clock }
}

/** Lets time pass until the answer is there. */
async function answered(clock: FakeClock, answer: Promise<boolean>): Promise<boolean> {
  let found: boolean | null = null
  void answer.then((is) => {
    found = is
  })
  while (found === null) {
    clock.advance(10)
    await Promise.resolve()
  }
  return found
}

describe('whether the loop runs', () => {
  test('needs no asking while turns are taken', async () => {
    const { clock, watch, store, turns } = watched()
    for (let i = 0; i < 10; i++) {
      clock.nowMs += 1_500
      store.defer(() => {
        clock.nowMs += 250
      })
      clock.turn()
    }
    expect(await watch.runs(() => expect.unreachable())).toBe(true)
    expect(turns).toEqual(new Array(10).fill(0.25))
  })

  test('is found out by asking an idle one for a turn', async () => {
    const { clock, watch, store } = watched()
    clock.nowMs += 60_000
    expect(
      await answered(
        clock,
        watch.runs(() => store.defer(() => {})),
      ),
    ).toBe(true)
  })

  test('is denied when no turn is taken though one was asked for', async () => {
    const { clock, watch } = watched()
    clock.nowMs += 60_000
    const from = clock.nowMs
    expect(
      await answered(
        clock,
        watch.runs(() => {}),
      ),
    ).toBe(false)
    expect(clock.nowMs - from).toBeGreaterThanOrEqual(2_000)
  })
})
