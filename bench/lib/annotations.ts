import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

const PACKAGE = 'cldr-annotations-full'
const VERSION = '48.2.0'

export interface AnnotationRecord {
  /** Locale, emoji, kind ('default' or 'tts'). */
  readonly key: readonly [string, string, string]
  readonly value: readonly string[]
}

export interface Annotations {
  /** Pairs of locale and emoji. */
  readonly annotations: number
  /** One per annotation and kind, in the order of the files. */
  readonly records: readonly AnnotationRecord[]
}

/** The names of emoji in 163 locales (Unicode CLDR, Unicode-3.0 licence), fetched from the npm registry once and kept in the user's cache. */
export async function loadAnnotations(): Promise<Annotations> {
  const directory = join(await fetched(), 'package', 'annotations')
  const records: AnnotationRecord[] = []
  let annotations = 0
  for (const locale of readdirSync(directory).sort()) {
    const text = await readFile(join(directory, locale, 'annotations.json'), 'utf8')
    const parsed = JSON.parse(text) as { annotations: { annotations?: Record<string, Record<string, string[]>> } }
    for (const [emoji, kinds] of Object.entries(parsed.annotations.annotations ?? {})) {
      annotations++
      for (const [kind, value] of Object.entries(kinds)) records.push({ key: [locale, emoji, kind], value })
    }
  }
  return { annotations, records }
}

async function fetched(): Promise<string> {
  const home = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const target = join(home, 'holdfast', `${PACKAGE}-${VERSION}`)
  if (existsSync(target)) return target
  const partial = `${target}.${process.pid}`
  await mkdir(partial, { recursive: true })
  const npm = process.env.npm_execpath
  const [command, ...first] = npm === undefined ? ['npm'] : [process.execPath, npm]
  await run(
    command!,
    [...first, 'pack', '--loglevel=error', `${PACKAGE}@${VERSION}`, '--pack-destination', partial],
    partial,
  )
  await run('tar', ['-xzf', `${PACKAGE}-${VERSION}.tgz`], partial)
  await rename(partial, target).catch(async (error: unknown) => {
    await rm(partial, { recursive: true })
    if (!existsSync(target)) throw error
  })
  return target
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}`)
}
