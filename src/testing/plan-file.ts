import { z } from 'zod'
import { RARE_PATHS } from '../base/ports.js'
import type { Fault, FaultPlan, Target } from './fault-plan.js'
import { PHASES } from './phases.js'
import type { Tuning } from './tuning.js'

const FORMAT = 1
/** Of a wrong value, in characters. */
const SHOWN_MAX = 120

/** A run kept as a file: the same code replays it from this alone. */
export interface PlanFile {
  /** Draws what the plan leaves open. */
  readonly seed: number
  readonly plan: FaultPlan
  /** Why it is kept: what it once showed. */
  readonly reason?: string
}

const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const count = whole.min(1)
const ms = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
const chance = z.number().min(0).lt(1)
const node = count
const target = z.union([node, z.literal('leader')], { error: "expected a node's number or 'leader'" })
const targets = z.array(target).min(1)

const way = z.enum(['in', 'out'])
const quality = z.strictObject({
  delayMs: ms,
  jitterMs: ms,
  loss: chance,
  duplicate: chance,
  straggle: chance,
  straggleMs: ms,
})

const when = {
  atMs: ms,
  forMs: ms,
  during: z.enum(PHASES).exactOptional(),
  waitMs: ms.exactOptional(),
}

/** A kind of fault that has no schema does not compile. */
const kinds = {
  crash: z.strictObject({ kind: z.literal('crash'), ...when, targets }),
  kill: z.strictObject({ kind: z.literal('kill'), ...when, targets }),
  off: z.strictObject({ kind: z.literal('off'), ...when, target }),
  'crash after': z.strictObject({ kind: z.literal('crash after'), ...when, target, operations: count }),
  'torn tail': z.strictObject({ kind: z.literal('torn tail'), ...when, target }),
  pause: z.strictObject({ kind: z.literal('pause'), ...when, targets, suspended: z.boolean() }),
  partition: z.strictObject({
    kind: z.literal('partition'),
    ...when,
    shape: z.enum(['isolate', 'peers', 'clients', 'deaf', 'mute', 'pair', 'halves', 'bridge', 'ring']),
    targets,
    flapMs: ms.min(1).exactOptional(),
  }),
  harm: z.strictObject({
    kind: z.literal('harm'),
    ...when,
    harm: z.enum([
      'wiped',
      'state lost',
      'entry rotten',
      'log rotten',
      'record rotten',
      'record hidden',
      'snapshot rotten',
      'rolled back',
    ]),
    target,
  }),
  full: z.strictObject({ kind: z.literal('full'), ...when, target }),
  hang: z.strictObject({ kind: z.literal('hang'), ...when, target }),
  fsync: z.strictObject({ kind: z.literal('fsync'), ...when, target }),
  'logs swapped': z.strictObject({ kind: z.literal('logs swapped'), ...when, target }),
  slow: z.strictObject({ kind: z.literal('slow'), ...when, target, factor: z.number().min(1) }),
  drift: z.strictObject({ kind: z.literal('drift'), ...when, target, rate: z.number().gt(-1) }),
  link: z.strictObject({ kind: z.literal('link'), ...when, target, way, quality }),
  clog: z.strictObject({ kind: z.literal('clog'), ...when, target, way }),
  connections: z.strictObject({ kind: z.literal('connections'), ...when, target, how: z.enum(['reset', 'half open']) }),
  'slow reader': z.strictObject({
    kind: z.literal('slow reader'),
    ...when,
    target: z.union([target, z.literal('clients')]),
    everyMs: ms,
  }),
  transfer: z.strictObject({ kind: z.literal('transfer'), ...when, target }),
  drain: z.strictObject({ kind: z.literal('drain'), ...when, target }),
  clock: z.strictObject({ kind: z.literal('clock'), ...when, target, byMs: z.number() }),
  links: z.strictObject({ kind: z.literal('links'), ...when, quality }),
  split: z.strictObject({ kind: z.literal('split'), ...when, key: z.string().min(1) }),
} satisfies { readonly [Kind in Fault['kind']]: z.ZodType<Fault & { readonly kind: Kind }> }

const fault = z.discriminatedUnion(
  'kind',
  Object.values(kinds) as [(typeof kinds)['crash'], ...(typeof kinds)[Fault['kind']][]],
  { error: `expected one of ${Object.keys(kinds).join(', ')}` },
)

const tuning: z.ZodType<Tuning> = z.strictObject({
  segmentBytes: count,
  snapshotChunkBytes: count,
  cacheBytes: whole,
  sessionOutcomesMax: count.exactOptional(),
  raft: z.strictObject({
    electionTicksMin: count.exactOptional(),
    electionTicksMax: count.exactOptional(),
    appendMessagesInFlightMax: count.exactOptional(),
    appendBytesInFlightMax: count.exactOptional(),
    appendBytesMax: count.exactOptional(),
  }),
  rare: z.partialRecord(z.enum(RARE_PATHS), chance),
})

const planSchema: z.ZodType<FaultPlan> = z.strictObject({
  nodes: count.max(9),
  ranges: count,
  clients: count,
  thinkMsMax: ms,
  faults: z.array(fault),
  healedMs: ms,
  clockOffsetsMs: z.array(z.number()),
  syncMsMax: ms,
  quality,
  keptBytesMax: whole,
  stateSyncEveryBytes: whole,
  tuning: tuning.exactOptional(),
  historyKeptMs: ms,
  sessionKeptMs: ms,
})

const fileSchema = z
  .strictObject({ format: z.literal(FORMAT), reason: z.string().exactOptional(), seed: whole, plan: planSchema })
  .superRefine(({ plan }, context) => {
    for (const [at, fault] of plan.faults.entries()) {
      for (const named of targetsOf(fault)) {
        if (named === 'leader' || named <= plan.nodes) continue
        context.addIssue({
          code: 'custom',
          path: ['plan', 'faults', at],
          message: `there is no node ${named} of ${plan.nodes}`,
        })
      }
    }
  })

function targetsOf(fault: Fault): readonly Target[] {
  if ('targets' in fault) return fault.targets
  return 'target' in fault && fault.target !== 'clients' ? [fault.target] : []
}

/** The run as the text of a file. */
export function formatPlanFile({ seed, plan, reason }: PlanFile): string {
  const file = { format: FORMAT, ...(reason === undefined ? {} : { reason }), seed, plan }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** Throws an error that names the places in the file, what stands there, and what was expected. */
export function parsePlanFile(text: string): PlanFile {
  const json = parseJson(text)
  const parsed = fileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(
    ({ path, message }) => `${placeOf(path)}: ${message}, found ${found(json, path)}`,
  )
  throw new Error(`this is no plan file:\n  ${faults.join('\n  ')}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`this is no plan file: ${(error as Error).message}`)
  }
}

/** As in code: `plan.faults[2].targets[0]`. */
function placeOf(path: readonly PropertyKey[]): string {
  const place = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  return place === '' ? 'the file' : place.replace(/^\./, '')
}

function found(json: unknown, path: readonly PropertyKey[]): string {
  const value = path.reduce<unknown>((from, step) => (from as Record<PropertyKey, unknown> | undefined)?.[step], json)
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}
