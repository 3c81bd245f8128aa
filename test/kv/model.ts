import type { ReplicaDescriptor, Span } from '../../src/base/descriptor.js'
import type { Key, ReplicaId, Version } from '../../src/base/ids.js'
import type { Codec, Command, Condition, Origin, Outcome, SplitCommand, WriteCommand } from '../../src/kv/types.js'

interface Value {
  readonly version: Version
  readonly value: Uint8Array
  readonly codec: Codec
}

const NOTHING = { version: 0 as Version, codec: 'bytes' as const, value: null }

/**
 * A range said in the plainest way: one Map of values, shared by all ranges, and a list of everything that was ever done for a
 * session. It knows nothing of records, journals or drafts.
 */
export class ModelRange {
  readonly id: number
  span: Span
  generation: number
  floor = 0
  collectionFloor = 0
  epoch: number
  replicas: readonly ReplicaDescriptor[]
  readonly #values: Map<Key, Value>
  readonly #done: { readonly origin: Origin; readonly outcome: Outcome & { readonly version: number } }[]

  constructor(parts: {
    id: number
    span: Span
    generation: number
    values: Map<Key, Value>
    epoch: number
    replicas: readonly ReplicaDescriptor[]
    from?: ModelRange
  }) {
    this.id = parts.id
    this.span = parts.span
    this.generation = parts.generation
    this.#values = parts.values
    this.#done = parts.from === undefined ? [] : [...parts.from.#done]
    this.floor = parts.from?.floor ?? 0
    this.collectionFloor = parts.from?.collectionFloor ?? 0
    this.epoch = parts.epoch
    this.replicas = parts.replicas
  }

  execute(command: Command, endsEntry: boolean, isAlone: boolean): { outcome: Outcome; child: ModelRange | null } {
    const origin = command.kind === 'write' || command.kind === 'split' ? command.origin : null
    const answer = origin === null ? null : this.#answer(origin, command)
    if (answer !== null) return { outcome: answer, child: null }
    const { outcome, child } = this.#run(command, endsEntry, isAlone)
    if (origin !== null && 'version' in outcome) this.#done.push({ origin, outcome: asKept(outcome) })
    // The child remembers the split as well.
    return { outcome, child: child === null ? null : child() }
  }

  #answer(origin: Origin, { version }: Command): Outcome | null {
    const kept = this.#done.filter(
      (each) => each.origin.session === origin.session && each.outcome.version >= this.floor,
    )
    const lowest = Math.max(0, ...kept.map((each) => each.origin.lowest))
    const first = kept.find((each) => each.origin.sequence === origin.sequence)
    if (first !== undefined && origin.sequence >= lowest) return first.outcome
    const isOld = origin.sequence < lowest || origin.firstSent < this.floor
    return isOld ? { kind: 'sessionExpired', version } : null
  }

  #run(command: Command, endsEntry: boolean, isAlone: boolean): { outcome: Outcome; child: (() => ModelRange) | null } {
    const { version } = command
    if (command.kind === 'sessionFloor') {
      this.floor = Math.max(this.floor, command.floor)
      return { outcome: { kind: 'done', version }, child: null }
    }
    if (command.kind === 'collectionFloor') {
      this.collectionFloor = Math.max(this.collectionFloor, command.floor)
      return { outcome: { kind: 'done', version }, child: null }
    }
    if (command.kind === 'digest') return { outcome: { kind: 'done', version }, child: null }
    if (command.kind === 'replicas') {
      if (!isAlone || command.epoch !== this.epoch + 1)
        return { outcome: { kind: 'invalid', reason: 'any' }, child: null }
      this.epoch += 1
      this.replicas = command.replicas
      return { outcome: { kind: 'done', version }, child: null }
    }
    if (command.kind === 'split') return this.#split(command, endsEntry)
    if (command.kind !== 'write') throw new Error('not in this model')
    return { outcome: this.#write(command), child: null }
  }

  #write({ version, generation, conditions, writes, wantValue }: WriteCommand): Outcome {
    const keys = [...conditions, ...writes].map(({ key }) => key)
    if (generation !== this.generation || !keys.every((key) => this.#has(key))) return { kind: 'rangeMoved' }
    if (new Set(writes.map(({ key }) => key)).size < writes.length)
      return { kind: 'invalid', reason: 'a key stands twice among the writes' }
    const failed = conditions.filter((condition) => !this.#holds(condition))
    if (failed.length > 0) {
      const there = failed.map(({ key }) => {
        const { version: at, codec, value } = this.#values.get(key) ?? NOTHING
        return { key, version: at, codec, value: wantValue ? value : null }
      })
      return { kind: 'conditionFailed', version, failed: there }
    }
    const deleted: boolean[] = []
    for (const write of writes) {
      if (write.kind === 'put') this.#values.set(write.key, { version, value: write.value, codec: write.codec })
      else deleted.push(this.#values.delete(write.key))
    }
    return { kind: 'written', version, deleted }
  }

  #split(
    { generation, at, child, version }: SplitCommand,
    endsEntry: boolean,
  ): { outcome: Outcome; child: (() => ModelRange) | null } {
    if (generation !== this.generation) return { outcome: { kind: 'rangeMoved' }, child: null }
    const isChanging = this.replicas.some(({ role }) => role !== 'voter' && role !== 'learner')
    if (!endsEntry || !this.#has(at) || at === this.span.start) {
      return { outcome: { kind: 'invalid', reason: 'any' }, child: null }
    }
    if (isChanging) return { outcome: { kind: 'notNow', reason: 'any' }, child: null }
    const [left, right] = [
      { start: this.span.start, end: at },
      { start: at, end: this.span.end },
    ]
    const make = () => {
      this.span = left
      this.generation += 1
      const { generation: next } = this
      const replicas = this.replicas.map(({ node, role }, place) => ({ replica: (place + 1) as ReplicaId, node, role }))
      return new ModelRange({
        id: child,
        span: right,
        generation: next,
        values: this.#values,
        epoch: 0,
        replicas,
        from: this,
      })
    }
    return { outcome: { kind: 'split', version, child }, child: make }
  }

  #has(key: Key): boolean {
    return key >= this.span.start && (this.span.end === null || key < this.span.end)
  }

  #holds(condition: Condition): boolean {
    const there = this.#values.get(condition.key)
    if (condition.kind === 'absent') return there === undefined
    if (condition.kind === 'version') return (there?.version ?? 0) === condition.version
    return there !== undefined && there.codec === condition.codec && Buffer.compare(there.value, condition.value) === 0
  }
}

/** A repeat is told the versions that stood against it, and no values. */
function asKept<T extends Outcome>(outcome: T): T {
  if (outcome.kind !== 'conditionFailed') return outcome
  return { ...outcome, failed: outcome.failed.map((each) => ({ ...each, value: null })) }
}
