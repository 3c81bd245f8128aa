import { open, readdir, readFile, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'

/** Every kind of file that a node may leave, by its path in the data directory. */
const KINDS: readonly { readonly kind: string; readonly pattern: RegExp }[] = [
  { kind: 'FORMAT', pattern: /^FORMAT$/ },
  { kind: 'LOCK', pattern: /^LOCK$/ },
  { kind: 'lock MANIFEST', pattern: /^lock\.db\/MANIFEST-\d+$/ },
  { kind: 'lock CURRENT', pattern: /^lock\.db\/CURRENT$/ },
  { kind: 'lock log', pattern: /^lock\.db\/\d+\.log$/ },
  { kind: 'how it ended', pattern: /^CLEAN$/ },
  { kind: 'node.json', pattern: /^node\.json$/ },
  { kind: 'peers.json', pattern: /^peers\.json$/ },
  { kind: 'log segment', pattern: /^log\/\d+\.seg$/ },
  { kind: 'state table', pattern: /^state\/\d+\.(ldb|sst)$/ },
  { kind: 'state log', pattern: /^state\/\d+\.log$/ },
  { kind: 'state MANIFEST', pattern: /^state\/MANIFEST-\d+$/ },
  { kind: 'state CURRENT', pattern: /^state\/CURRENT$/ },
  { kind: 'state damage found', pattern: /^state\/DAMAGED\.json$/ },
  { kind: 'what LevelDB says', pattern: /^(state|lock\.db)\/LOG(\.old)?$/ },
  { kind: 'LevelDB lock', pattern: /^(state|lock\.db)\/LOCK$/ },
  // A killed process was writing it; it takes its name when it is whole.
  { kind: 'half made', pattern: /\.(tmp|dbtmp|new|stale)$/ },
]

/** What was put aside by `holdfast node rejoin`, or by a node that lost its state: nobody reads it again. */
export const ASIDE = /^(aside-\d+|state\.lost)(\/|$)/

export interface NodeFile {
  /** In the data directory. */
  readonly path: string
  readonly kind: string
  readonly bytes: number
}

/** Files of a node, largest first. Throws for one of no known kind: it needs to be damaged too. */
export async function filesOf(directory: string): Promise<NodeFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files: NodeFile[] = []
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(directory.length + 1)
    if (ASIDE.test(path)) continue
    const kind = KINDS.find(({ pattern }) => pattern.test(path))?.kind
    if (kind === undefined) throw new Error(`${path} is a file of no kind that this program knows: add it`)
    files.push({ path, kind, bytes: (await stat(join(directory, path))).size })
  }
  return files.sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1))
}

/** The largest of each kind that holds anything. */
export function largestOfKind(files: readonly NodeFile[]): NodeFile[] {
  const kinds = new Map<string, NodeFile>()
  for (const file of files) if (file.bytes > 0 && !kinds.has(file.kind)) kinds.set(file.kind, file)
  return [...kinds.values()]
}

export const PLACES = ['head', 'middle', 'tail', 'cut in half'] as const
export type Place = (typeof PLACES)[number]

/** Damages one file. Returns how, for a person. */
export async function rot(directory: string, { path, bytes }: NodeFile, place: Place): Promise<string> {
  const file = join(directory, path)
  const written = lastByteWritten(await readFile(file)) + 1
  if (place === 'cut in half') {
    await truncate(file, written >> 1)
    return `${path} cut to ${written >> 1} of ${written} bytes written`
  }
  const at = { head: 0, middle: written >> 1, tail: written - 1 }[place]
  await flip(file, at)
  return `${path} byte ${at} of ${bytes}`
}

/** Flips a bit of the first file of the kind that holds `needle`, inside it. null: none holds it. */
export async function rotWhere(directory: string, kind: string, needle: string): Promise<string | null> {
  for (const { path } of (await filesOf(directory)).filter((file) => file.kind === kind)) {
    const at = (await readFile(join(directory, path))).indexOf(needle, 0, 'latin1')
    if (at === -1) continue
    await flip(join(directory, path), at + (needle.length >> 1))
    return `${path} byte ${at + (needle.length >> 1)}`
  }
  return null
}

/** Log segments are filled with zeros ahead of need. */
function lastByteWritten(bytes: Buffer): number {
  for (let at = bytes.length - 1; at > 0; at--) if (bytes[at] !== 0) return at
  return bytes.length - 1
}

/** Of this bit a digit stays a digit nearly always and a letter a letter: the worst that can happen to a file of text. */
const BIT = 0x02

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0]! ^= BIT
    await file.write(byte, 0, 1, at)
    await file.sync()
  } finally {
    await file.close()
  }
}
