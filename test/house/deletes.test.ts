import { describe, expect, it } from 'vitest'
import { readSources } from './project.js'

/** What makes LevelDB lose keys (google/leveldb#320), and the one place that may do it. */
const banned: readonly { readonly what: RegExp; readonly home: string | null; readonly instead: string }[] = [
  {
    what: /\.del\(/,
    home: 'src/storage/leveldb/database.ts',
    instead: 'go through Deletions (src/storage/state/deletions.ts)',
  },
  {
    what: /\bdb\.remove\(/,
    home: 'src/storage/state/deletions.ts',
    instead: 'go through Deletions, behind the read barrier',
  },
  { what: /\blevel\.clear\(|\bdb\.clear\(/, home: null, instead: 'delete keys by name, through Deletions' },
  { what: /\.snapshot\(|compactRange\(/, home: null, instead: 'records are written once: read them by version' },
]

describe('LevelDB deletes', () => {
  it.each(banned)('$what only where no read is open', ({ what, home, instead }) => {
    const wrong = readSources('src/storage').flatMap(({ path, tree }) =>
      path !== home && what.test(tree.text) ? [`${path}: ${instead}`] : [],
    )
    expect(wrong).toEqual([])
  })

  it('each rule would see what it bans', () => {
    const homes = new Map(readSources('src/storage').map(({ path, tree }) => [path, tree.text]))
    for (const { what, home } of banned) if (home !== null) expect(homes.get(home)).toMatch(what)
  })
})
