import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** A bug that is planted on purpose: a patch against the sources, headed by lines that say what it is. */
export interface Mutant {
  readonly name: string
  /** Which rule it breaks. */
  readonly breaks: string
  /** What happened to others, or would to us. */
  readonly standsFor: string
  /** Of the patch. */
  readonly path: string
}

/** All patches of a folder, by name. Throws where one does not say what it is. */
export function readMutants(folder: string): readonly Mutant[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.patch'))
  return names.sort().map((file) => readMutant(join(folder, file)))
}

function readMutant(path: string): Mutant {
  const text = readFileSync(path, 'utf8')
  const said = (what: string): string => {
    const found = text.match(new RegExp(`^# ${what}: (.+)$`, 'm'))?.[1]
    if (found === undefined) throw new Error(`${path} has no line '# ${what}: …'`)
    return found
  }
  const name = basename(path, '.patch')
  if (said('name') !== name) throw new Error(`${path} calls itself ${said('name')}`)
  return { name, breaks: said('breaks'), standsFor: said('stands for'), path }
}
