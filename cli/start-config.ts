import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { HoldfastError } from '../src/base/errors.js'

export const CONFIG_FILE = 'holdfast.yaml'
export const logLevels = ['debug', 'info', 'warn', 'error'] as const

const text = z.string().min(1)
const list = z.union([text.transform((value) => value.split(',').map((item) => item.trim())), z.array(text)])
const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1'),
])

/** What `start` can be told, under the same names in the file, in the environment (HOLDFAST_PEER_LISTEN) and as flags. */
const schema = z.strictObject({
  data: text.optional(),
  listen: text.optional(),
  'peer-listen': text.optional(),
  http: text.optional(),
  advertise: text.optional(),
  'peer-advertise': text.optional(),
  join: list.optional(),
  insecure: flag.optional(),
  'log-level': z.enum(logLevels).optional(),
})

export type StartSettings = z.infer<typeof schema>

export const settingNames = Object.keys(schema.shape)

/** The variable of a setting in the environment. */
export function variableOf(setting: string): string {
  return `HOLDFAST_${setting.toUpperCase().replaceAll('-', '_')}`
}

/** Holdfast's variables that are not settings of a node. */
const OTHER_VARIABLES = ['HOLDFAST_CI', 'HOLDFAST_ENDPOINTS', 'HOLDFAST_PYTHON']
/** Kubernetes sets these in every container for a service that is named holdfast. */
const SERVICE_VARIABLE =
  /^HOLDFAST(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP)(_[A-Z]+)?)?)$/

/** Merges defaults < file < environment < flags. Whatever is unknown is refused by its name and place. */
export function readStartSettings(sources: {
  readonly file: string | null
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: StartSettings
}): StartSettings {
  return {
    ...(sources.file === null ? {} : fromFile(sources.file)),
    ...fromEnvironment(sources.env),
    ...sources.flags,
  }
}

function fromFile(path: string): StartSettings {
  let parsed: unknown
  try {
    parsed = parseYaml(readFileSync(path, 'utf8'))
  } catch (error) {
    throw damaged(path, error instanceof Error ? error.message : String(error))
  }
  return check(parsed ?? {}, path)
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>): StartSettings {
  const settings: Record<string, string> = {}
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('HOLDFAST_') || value === undefined) continue
    if (OTHER_VARIABLES.includes(variable) || SERVICE_VARIABLE.test(variable)) continue
    settings[variable.slice('HOLDFAST_'.length).toLowerCase().replaceAll('_', '-')] = value
  }
  return check(settings, 'the environment (HOLDFAST_…)')
}

function check(value: unknown, place: string): StartSettings {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const at = issue?.path.join('.') ?? ''
  if (issue?.code === 'unrecognized_keys') {
    throw damaged(place, `unknown setting ${issue.keys.join(', ')}: expected ${settingNames.join(', ')}`)
  }
  throw damaged(place, `${at === '' ? '' : `${at}: `}${issue?.message ?? 'not understood'}`)
}

function damaged(place: string, reason: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `configuration in ${place}: ${reason}`)
}
