import { describe, expect, it } from 'vitest'
import type { RangeId, Version } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import { VERSION_TICKS_PER_MS } from '../../src/base/version.js'
import type { Command } from '../../src/kv/types.js'
import type { Proposal } from '../../src/store/proposals.js'
import type { Replica } from '../../src/store/replica.js'
import { CollectionFloors } from '../../src/store/upkeep/collection-floors.js'
import { Collector } from '../../src/store/upkeep/collector.js'
import { k, v } from './requests.js'

const at = (minutes: number) => (minutes * 60_000 * VERSION_TICKS_PER_MS) as Version
const range = 2 as RangeId

describe('the collection floor', () => {
  function leading() {
    const bookkeeping = { digest: 1, collectionFloor: v(0) }
    const floors: Version[] = []
    const offer = (proposal: Proposal) => {
      const command: Command = proposal.make(v(1))
      if (command.kind === 'collectionFloor') floors.push(command.floor)
      return true
    }
    const replica = { range, leads: true, machine: { bookkeeping }, proposals: { offer } }
    const duty = new CollectionFloors(new Map([[range, replica as unknown as Replica]]), () => {})
    return { duty, bookkeeping, floors, replica }
  }

  it('follows log time at the distance of the history kept, where this node leads', () => {
    const { duty, floors, replica } = leading()
    duty.look(at(100))
    expect(floors).toEqual([at(100) - limits.historyKeptMs * VERSION_TICKS_PER_MS])
    replica.leads = false
    duty.look(at(200))
    expect(floors).toHaveLength(1)
  })

  it('moves in steps that are worth a command, and rests where nothing was written since it passed the last write', () => {
    const { duty, floors, bookkeeping } = leading()
    bookkeeping.collectionFloor = at(89.5) as Version
    duty.look(at(100))
    expect(floors).toEqual([])
    duty.look(at(101))
    expect(floors).toHaveLength(1)
    bookkeeping.collectionFloor = at(100.5) as Version
    for (let minute = 112; minute < 200; minute++) duty.look(at(minute))
    expect(floors).toHaveLength(1)
    bookkeeping.digest = 2
    duty.look(at(200))
    duty.look(at(201))
    expect(floors.length).toBeGreaterThan(1)
  })
})

describe('collection', () => {
  it('of a journal stops where a replica came between two passes that may need the rest', () => {
    const durable = { collectionFloor: v(90), sessionFloor: v(90), clock: v(99) }
    const parent = { range, durable, lineage: [], hasState: true, storages: [] }
    const replicas = new Map([[range, parent as unknown as Replica]])
    const passes: { readonly of: string; readonly more: () => void }[] = []
    const collectJournal = (
      work: { range: RangeId; upTo: Version },
      done: (deleted: number, more: boolean) => void,
    ) => {
      passes.push({ of: `${work.range} up to ${work.upTo}`, more: () => done(500, true) })
    }
    new Collector({ collect: (_, done) => done(0, null), collectJournal }, replicas).look()
    passes[0]!.more()
    const needs = { ...durable, collectionFloor: v(40), sessionFloor: v(40) }
    const child = { ...parent, range: 3, durable: needs, lineage: [{ range, to: v(80) }] }
    replicas.set(3 as RangeId, child as unknown as Replica)
    passes[1]!.more()
    expect(passes.map(({ of }) => of)).toEqual(['2 up to 89', '2 up to 89', '3 up to 39'])
  })

  interface Fake {
    readonly range: number
    readonly durable: { collectionFloor: number; sessionFloor: number; clock: number } | null
    readonly lineage?: readonly number[]
    readonly storages?: readonly number[]
  }

  function collecting(...fakes: Fake[]) {
    const span = { start: k('a'), end: k('z') }
    const replicas = fakes.map((fake) => ({
      ...fake,
      hasState: true,
      storages: (fake.storages ?? [fake.range]).map((storage) => ({ span, storage })),
      lineage: (fake.lineage ?? []).map((each) => ({ range: each, to: v(1) })),
    }))
    const passes: string[] = []
    const journals: string[] = []
    const collector = new Collector(
      {
        collect: ({ storage, span: part, floor, durable }, done) => {
          passes.push(`${storage} from ${part.start.slice(4)} below ${floor} as of ${durable}`)
          done(1, part.start === span.start ? k('m') : null)
        },
        collectJournal: ({ range: of, upTo }, done) => {
          journals.push(`${of} up to ${upTo}`)
          done(0, false)
        },
      },
      new Map(replicas.map((each) => [each.range as RangeId, each as unknown as Replica])),
    )
    return { collector, passes, journals, replicas }
  }

  it('goes by the floor as of D, in bounded passes to the end of the span, once per floor', () => {
    const { collector, passes } = collecting(
      { range: 2, durable: { collectionFloor: 7, sessionFloor: 0, clock: 9 } },
      { range: 3, durable: null },
    )
    collector.look()
    collector.look()
    expect(passes).toEqual(['2 from a below 7 as of 9', '2 from m below 7 as of 9'])
  })

  it('a journal goes only as far as nobody needs it for sessions: neither its range nor a range cut from it', () => {
    const { collector, journals } = collecting(
      { range: 2, durable: { collectionFloor: 50, sessionFloor: 40, clock: 60 } },
      { range: 3, durable: { collectionFloor: 50, sessionFloor: 30, clock: 60 }, lineage: [2] },
    )
    collector.look()
    expect(journals).toEqual(['2 up to 29', '3 up to 29'])
    const young = collecting(
      { range: 2, durable: { collectionFloor: 50, sessionFloor: 40, clock: 60 } },
      { range: 3, durable: null, lineage: [2] },
    )
    young.collector.look()
    expect(young.journals).toEqual([])
  })
})
