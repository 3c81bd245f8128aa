import { expect, test } from 'vitest'
import { Pulse } from '../../src/transport/pulse.js'

test('beats without a word are counted, a word ends the count', () => {
  const pulse = new Pulse()
  expect([pulse.beat(), pulse.beat()]).toEqual([1, 2])
  pulse.hear()
  expect([pulse.beat(), pulse.beat()]).toEqual([0, 1])
})

test('while a ping waits behind bytes that leave, silence is not counted', () => {
  const pulse = new Pulse()
  const left = pulse.pinging()
  for (let i = 0; i < 20; i++) {
    pulse.progress()
    expect(pulse.beat()).toBe(0)
    expect(pulse.wantsPing).toBe(false)
  }
  left()
  expect(pulse.wantsPing).toBe(true)
})

test('a ping that waits while nothing leaves does not excuse silence', () => {
  const pulse = new Pulse()
  pulse.pinging()
  expect([pulse.beat(), pulse.beat()]).toEqual([1, 2])
})

test('bytes that leave say nothing of the other end once the ping has left', () => {
  const pulse = new Pulse()
  pulse.pinging()()
  pulse.progress()
  expect(pulse.beat()).toBe(1)
  pulse.progress()
  expect(pulse.beat()).toBe(2)
})
