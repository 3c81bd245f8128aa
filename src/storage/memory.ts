import { readFileSync } from 'node:fs'

/** Memory of this process that no file stands behind (LevelDB maps its tables); null where the system does not tell. */
export function anonymousBytes(): number | null {
  try {
    const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    return kibibytes === undefined ? null : Number(kibibytes) * 1024
  } catch {
    return null
  }
}
