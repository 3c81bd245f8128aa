import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LogClock } from '../../src/base/hlc.js'
import type { NodeId } from '../../src/base/ids.js'
import { versionMs } from '../../src/base/version.js'
import { times } from '../property.js'

const EPOCH_MS = 1_700_000_000_000

/** What the world really is: this node's clocks, and how far those of others are off. */
interface World {
  wallMs: number
  monotonicMs: number
  readonly others: Map<number, number>
  lastMs: number | null
  lastMonotonicMs: number
}

type Command = fc.Command<World, LogClock>

function sortedWalls(world: World): number[] {
  const walls = [world.wallMs, ...[...world.others.values()].map((offsetMs) => offsetMs + world.monotonicMs)]
  return walls.sort((a, b) => a - b)
}

function lowerMedian(world: World): number {
  const walls = sortedWalls(world)
  return walls[Math.floor((walls.length - 1) / 2)]!
}

function upperMedian(world: World): number {
  const walls = sortedWalls(world)
  return walls[Math.floor(walls.length / 2)]!
}

class Passes implements Command {
  readonly #ms: number
  constructor(ms: number) {
    this.#ms = ms
  }
  check = () => true
  run(world: World): void {
    world.wallMs += this.#ms
    world.monotonicMs += this.#ms
  }
  toString = () => `${this.#ms} ms pass`
}

class Jumps implements Command {
  readonly #ms: number
  constructor(ms: number) {
    this.#ms = ms
  }
  check = () => true
  run(world: World): void {
    world.wallMs = Math.max(0, world.wallMs + this.#ms)
  }
  toString = () => `the wall clock jumps by ${this.#ms}`
}

class Hears implements Command {
  readonly #node: number
  readonly #offMs: number
  constructor(node: number, offMs: number) {
    this.#node = node
    this.#offMs = offMs
  }
  check = () => true
  run(world: World, clock: LogClock): void {
    const wallMs = EPOCH_MS + world.monotonicMs + this.#offMs
    world.others.set(this.#node, wallMs - world.monotonicMs)
    clock.heard({ node: this.#node as NodeId, wallMs, monotonicMs: world.monotonicMs })
    expect(clock.size).toBe(world.others.size + 1)
  }
  toString = () => `node ${this.#node} is heard, off by ${this.#offMs}`
}

class Forgets implements Command {
  readonly #node: number | null
  constructor(node: number | null) {
    this.#node = node
  }
  check = () => true
  run(world: World, clock: LogClock): void {
    if (this.#node === null) {
      world.others.clear()
      clock.forgetAll()
    } else {
      world.others.delete(this.#node)
      clock.forget(this.#node as NodeId)
    }
    expect(clock.size).toBe(world.others.size + 1)
  }
  toString = () => `${this.#node ?? 'everybody'} is forgotten`
}

class Reads implements Command {
  check = () => true
  run(world: World, clock: LogClock): void {
    const own = { wallMs: world.wallMs, monotonicMs: world.monotonicMs }
    const logMs = clock.logTimeMs(own)
    const median = lowerMedian(world)
    if (world.lastMs === null) expect(logMs).toBe(Math.floor(median))
    else {
      const elapsedMs = world.monotonicMs - world.lastMonotonicMs
      expect(logMs).toBeGreaterThanOrEqual(world.lastMs)
      // A tenth faster or slower at most, whatever was heard; floors take up to one more.
      expect(logMs - world.lastMs).toBeLessThanOrEqual(1.1 * elapsedMs + 1)
      expect(logMs - world.lastMs).toBeGreaterThanOrEqual(0.9 * elapsedMs - 1)
      // Never away from the median by more than before it ran, nor past it.
      const ran = world.lastMs + elapsedMs
      const [low, high] = [Math.min(ran, median), Math.max(ran, median)]
      expect(logMs).toBeGreaterThanOrEqual(Math.floor(low) - 1)
      expect(logMs).toBeLessThanOrEqual(Math.ceil(high) + 1)
    }
    expect(versionMs(clock.doorVersion(own))).toBeGreaterThan(logMs)
    expect(clock.upperMedianMs(own)).toBe(upperMedian(world))
    expect(clock.differenceMs(own)).toBe(world.wallMs - median)
    world.lastMs = logMs
    world.lastMonotonicMs = world.monotonicMs
  }
  toString = () => 'log time is read'
}

const off = fc.constantFrom(0, 3, -7, 250, -250, 5_000, 3_600_000, -3_600_000)
const commands = fc.commands(
  [
    fc.constant(new Reads()),
    fc.nat(3_000).map((ms) => new Passes(ms)),
    off.map((ms) => new Jumps(ms)),
    fc.tuple(fc.integer({ min: 2, max: 5 }), off).map(([node, ms]) => new Hears(node, ms)),
    fc.constantFrom(2, 3, 4, 5, null).map((node) => new Forgets(node)),
  ],
  { maxCommands: 60, size: 'max' },
)

it('log time never goes back, runs at most a tenth fast or slow, and goes towards the lower median of the clocks heard', () => {
  fc.assert(
    fc.property(commands, (list) => {
      fc.modelRun(
        () => ({
          model: { wallMs: EPOCH_MS, monotonicMs: 0, others: new Map(), lastMs: null, lastMonotonicMs: 0 },
          real: new LogClock(),
        }),
        list,
      )
    }),
    times(150, 61),
  )
})
