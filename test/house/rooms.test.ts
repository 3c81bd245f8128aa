import { describe, expect, it } from 'vitest'
import { type Import, readSources, resolveImport, type SourceFile } from './project.js'

/** Who may import whom. `types` may be imported with `import type` only; `files` are single files, at run time too. */
interface Room {
  readonly imports: readonly string[]
  readonly types?: readonly string[]
  readonly files?: readonly string[]
}

const rooms: Readonly<Record<string, Room>> = {
  'src/base': { imports: [] },
  'src/raft': { imports: ['src/base'] },
  'src/kv': { imports: ['src/base'] },
  'src/range': { imports: ['src/base'] },
  'src/storage': {
    imports: ['src/base'],
    types: ['src/raft', 'src/kv'],
    files: ['src/kv/types.ts', 'src/raft/types.ts'],
  },
  'src/transport': {
    imports: ['src/base'],
    types: ['src/raft', 'src/kv', 'src/store/ports.ts', 'src/client/ports.ts'],
    files: ['src/kv/types.ts', 'src/raft/types.ts'],
  },
  'src/store': {
    imports: ['src/base', 'src/raft', 'src/kv', 'src/range'],
    types: ['src/storage', 'src/transport'],
  },
  'src/client': {
    imports: ['src/base', 'src/range'],
    types: ['src/kv'],
    files: ['src/kv/types.ts', 'src/transport/connector.ts'],
  },
  'src/server': {
    imports: ['src/base', 'src/raft', 'src/kv', 'src/range', 'src/storage', 'src/transport', 'src/store', 'src/client'],
  },
  'src/testing': {
    imports: ['src/base', 'src/raft', 'src/kv', 'src/range', 'src/storage', 'src/transport', 'src/store', 'src/client'],
  },
  cli: { imports: ['src/base'], files: ['src/client/index.ts'] },
}

/** Only these commands run nodes, or work on the data of one that is stopped. */
const SERVER_DOORS = ['cli/commands/start.ts', 'cli/commands/dev.ts', 'cli/commands/node-rejoin.ts']

/**
 * The one place where the simulator's room leads to the real node: users find both kinds of cluster behind one door. It is lazy, so the
 * simulator itself loads nothing of it, and what a simulated node shares with a real one stays comparable below.
 */
const LOCAL_CLUSTER = { from: 'src/testing/local-cluster.ts', to: 'src/server/local-cluster.ts' } as const

const sources = readSources('src', 'cli')

function roomOf(path: string): string {
  return path.startsWith('src/') ? path.split('/').slice(0, 2).join('/') : 'cli'
}

function isAllowed(from: SourceFile, target: string, { typeOnly, lazy }: Pick<Import, 'typeOnly' | 'lazy'>): boolean {
  if (from.path === LOCAL_CLUSTER.from && target === LOCAL_CLUSTER.to) return typeOnly || lazy
  const room = rooms[roomOf(from.path)]
  if (room === undefined) return false
  const within = (entries: readonly string[] = []) =>
    entries.some((entry) => target === entry || target.startsWith(`${entry}/`))
  if (roomOf(target) === roomOf(from.path) || within(room.imports) || within(room.files)) return true
  if (typeOnly && within(room.types)) return true
  return target === 'src/server/index.ts' && SERVER_DOORS.includes(from.path)
}

describe('who imports whom', () => {
  it('every source file stands in a room of the table', () => {
    expect(sources.map((source) => source.path).filter((path) => rooms[roomOf(path)] === undefined)).toEqual([])
    expect(sources.length).toBeGreaterThan(20)
  })

  it('a room imports only from the rooms below it', () => {
    const wrong = sources.flatMap((source) =>
      source.imports.flatMap((each) => {
        const { specifier, typeOnly, line } = each
        const target = resolveImport(source.path, specifier)
        if (target === null || isAllowed(source, target, each)) return []
        return [`${source.path}:${line} imports ${target}${typeOnly ? ' (types)' : ''}: ${roomOf(source.path)} may not`]
      }),
    )
    expect(wrong).toEqual([])
  })

  it('there are no cycles at run time', () => {
    expect(findCycles(sources)).toEqual([])
  })
})

const PACKAGE_DOORS = ['src/client/index.ts', 'src/server/index.ts', 'src/testing/index.ts']
/** Other programs in bench measure one room from inside. */
const BLACK_BOX_PROGRAMS = ['bench/main.ts', 'bench/demo.ts', 'bench/failover.ts']

/** Packages that belong to one room each, and what to do instead elsewhere. */
const packageHomes: readonly {
  readonly pattern: RegExp
  readonly homes: readonly string[]
  readonly instead: string
}[] = [
  { pattern: /^(@grpc\/|grpc-)/, homes: ['src/transport/'], instead: 'go through src/transport' },
  { pattern: /^(classic-level|abstract-level)/, homes: ['src/storage/'], instead: 'go through the StateDb port' },
  {
    pattern: /^node:fs/,
    homes: ['src/storage/', 'cli/'],
    instead: 'use the Files port of src/storage/types.ts',
  },
  {
    pattern: /^(commander|cli-|@bomb\.sh|pino|yaml)/,
    homes: ['cli/'],
    instead: 'leave it to the command line',
  },
  {
    pattern: /^zod/,
    homes: ['cli/', 'src/storage/', 'src/testing/plan-file.ts'],
    instead: 'check by hand where every request passes',
  },
  { pattern: /^typescript$/, homes: [], instead: 'nothing at run time needs the compiler' },
]

describe('packages stay in their room', () => {
  it.each(packageHomes)('$pattern', ({ pattern, homes, instead }) => {
    const wrong = sources
      .filter((source) => !homes.some((home) => source.path.startsWith(home)))
      .flatMap((source) =>
        source.imports
          .filter(({ specifier }) => pattern.test(specifier))
          .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}: ${instead}`),
      )
    expect(wrong).toEqual([])
  })

  it('black-box programs use only what the package exports, and their own files', () => {
    const programs = readSources('bench', 'jepsen-like-tests')
    const blackBox = new Set(BLACK_BOX_PROGRAMS.flatMap((start) => [...closure(programs, start)]))
    const wrong = programs
      .filter((source) => blackBox.has(source.path) || source.path.startsWith('jepsen-like-tests/'))
      .flatMap((source) =>
        source.imports.flatMap(({ specifier, line }) => {
          const target = resolveImport(source.path, specifier)
          const own = target === null || target.startsWith('bench/') || target.startsWith('jepsen-like-tests/')
          return own || PACKAGE_DOORS.includes(target) ? [] : [`${source.path}:${line} imports ${target}`]
        }),
      )
    expect(wrong).toEqual([])
  })
})

describe('what differs between a real node and a simulated one is the ports', () => {
  const reachable = (start: string) => closure(sources, start)

  /** What runs in real processes: of the nodes, and of the applications that use the SDK. */
  const server = new Set([...reachable('src/server/index.ts'), ...reachable('src/client/index.ts')])
  const testing = reachable('src/testing/index.ts')

  it('only the server uses the real ports', () => {
    const onlyServer = [...server].filter((path) => !testing.has(path))
    const real = ['src/server/', 'src/transport/', 'src/storage/leveldb/']
    const others = onlyServer.filter((path) => !real.some((place) => path.startsWith(place)))
    expect(others.sort()).toEqual(SERVER_PORTS)
  })

  it('only the simulator uses its own', () => {
    const onlyTesting = [...testing].filter((path) => !server.has(path))
    expect(onlyTesting.filter((path) => !path.startsWith('src/testing/'))).toEqual([])
  })

  it('both run the same log, state, consensus, store and client', () => {
    const shared = [
      'src/raft/',
      'src/kv/',
      'src/range/',
      'src/store/',
      'src/storage/log/',
      'src/storage/state/',
      'src/client/core.ts',
    ]
    for (const part of shared) {
      expect(
        [...server].some((path) => path.startsWith(part) && testing.has(path)),
        part,
      ).toBe(true)
    }
  })
})

/** Outside of server, transport and LevelDB: the disk, the SDK's own clock, and how an application enters the SDK. */
const SERVER_PORTS: readonly string[] = [
  'src/client/connect.ts',
  'src/client/index.ts',
  'src/client/real-ports.ts',
  'src/client/value-json.ts',
  'src/storage/clean-mark.ts',
  'src/storage/data-directory.ts',
  'src/storage/files-node.ts',
  'src/storage/lock.ts',
  'src/storage/memory.ts',
  'src/storage/sync-thread.ts',
]

function graphOf(files: readonly SourceFile[]): Map<string, string[]> {
  const graph = new Map<string, string[]>()
  for (const file of files) {
    const targets = file.imports
      .filter((each) => !each.typeOnly && !each.lazy)
      .map((each) => resolveImport(file.path, each.specifier))
    graph.set(
      file.path,
      targets.filter((target): target is string => target !== null),
    )
  }
  return graph
}

function closure(files: readonly SourceFile[], start: string): Set<string> {
  const graph = graphOf(files)
  const seen = new Set<string>()
  const open = [start]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next) || !graph.has(next)) continue
    seen.add(next)
    open.push(...(graph.get(next) ?? []))
  }
  return seen
}

function findCycles(files: readonly SourceFile[]): string[] {
  const graph = graphOf(files)
  const state = new Map<string, 'open' | 'done'>()
  const cycles: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'open') cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
    if (state.has(path)) return
    state.set(path, 'open')
    for (const target of graph.get(path) ?? []) walk(target, [...trail, path])
    state.set(path, 'done')
  }
  for (const path of graph.keys()) walk(path, [])
  return cycles
}
