import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Admission, type Admitted } from '../../src/client/admission.js'
import { Sequences } from '../../src/client/sequences.js'
import { times } from '../property.js'

interface Waiting extends Admitted {
  isDone: boolean
}

interface Lists {
  readonly running: Waiting[]
  readonly waiting: Waiting[]
}

type Command = fc.Command<Lists, { readonly admission: Admission<Waiting>; readonly started: Waiting[] }>

const bounds = { requestsMax: 3, bytesMax: 100, waitingMax: 4, waitingBytesMax: 150 }
const bytesOf = (calls: readonly Waiting[]) => calls.reduce((sum, { bytes }) => sum + bytes, 0)

/** First come first served, one always fits. */
function fits({ running }: Readonly<Lists>, { bytes }: Waiting): boolean {
  return running.length === 0 || (running.length < bounds.requestsMax && bytesOf(running) + bytes <= bounds.bytesMax)
}

function drain(lists: Lists): void {
  for (let next = lists.waiting[0]; next !== undefined; next = lists.waiting[0]) {
    if (!next.isDone && !fits(lists, next)) return
    lists.waiting.shift()
    if (!next.isDone) lists.running.push(next)
  }
}

function agree(lists: Lists, real: Parameters<Command['run']>[1]): void {
  expect(real.admission.inFlight).toBe(lists.running.length)
  for (const call of lists.running) expect(real.started).toContain(call)
  for (const call of lists.waiting) expect(real.started).not.toContain(call)
}

class Enters implements Command {
  readonly #bytes: number
  constructor(bytes: number) {
    this.#bytes = bytes
  }
  check = () => true
  run(lists: Lists, real: Parameters<Command['run']>[1]): void {
    const call: Waiting = { bytes: this.#bytes, isDone: false }
    const isFull =
      lists.waiting.length >= bounds.waitingMax || bytesOf(lists.waiting) + call.bytes > bounds.waitingBytesMax
    const starts = lists.waiting.length === 0 && fits(lists, call)
    expect(real.admission.enter(call)).toBe(starts ? true : isFull ? null : false)
    if (starts) lists.running.push(call)
    else if (!isFull) lists.waiting.push(call)
    agree(lists, real)
  }
  toString = () => `enter(${this.#bytes})`
}

class Leaves implements Command {
  readonly #place: number
  constructor(place: number) {
    this.#place = place
  }
  check = ({ running }: Readonly<Lists>) => running.length > 0
  run(lists: Lists, real: Parameters<Command['run']>[1]): void {
    const [call] = lists.running.splice(this.#place % lists.running.length, 1)
    drain(lists)
    real.admission.leave(call!)
    agree(lists, real)
  }
  toString = () => `leave(${this.#place})`
}

/** It is over before its turn comes: its place in the queue is passed over then. */
class GivesUp implements Command {
  readonly #place: number
  constructor(place: number) {
    this.#place = place
  }
  check = ({ waiting }: Readonly<Lists>) => waiting.some(({ isDone }) => !isDone)
  run(lists: Lists): void {
    lists.waiting[this.#place % lists.waiting.length]!.isDone = true
  }
  toString = () => `give up(${this.#place})`
}

it('what is in flight and what waits are bounded, first come first served', () => {
  const commands = fc.commands(
    [
      fc.integer({ min: 1, max: 120 }).map((bytes) => new Enters(bytes)),
      fc.integer({ min: 1, max: 20 }).map((bytes) => new Enters(bytes)),
      fc.nat(9).map((place) => new Leaves(place)),
      fc.nat(9).map((place) => new GivesUp(place)),
    ],
    { maxCommands: 60, size: 'max' },
  )
  fc.assert(
    fc.property(commands, (list) => {
      fc.modelRun(() => {
        const started: Waiting[] = []
        const admission = new Admission<Waiting>(bounds, (call) => started.push(call))
        return { model: { running: [], waiting: [] }, real: { admission, started } }
      }, list)
    }),
    times(150, 65),
  )
})

it('the lowest sequence still waited for is the lowest that is open, and the next one where none is', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20)), { maxLength: 80 }), (steps) => {
      const sequences = new Sequences()
      const open: number[] = []
      let next = 1
      for (const place of steps) {
        if (place === null || open.length === 0) {
          expect(sequences.open()).toBe(next)
          open.push(next++)
        } else {
          const [settled] = open.splice(place % open.length, 1)
          sequences.settle(settled!)
        }
        expect(sequences.lowest).toBe(open[0] ?? next)
      }
    }),
    times(500, 66),
  )
})
