import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { lineOf, parseSource, readSources, type SourceFile, visit } from './project.js'

const PURE_ROOMS = ['src/base', 'src/raft', 'src/kv', 'src/range', 'src/txn', 'src/feed']
/** Deterministic given their ports, but they may await and hold bytes in Buffers. */
const PORT_ROOMS = ['src/store', 'src/client', 'src/testing']

const CLOCK = 'use the injected Clock'
const bannedEverywhere: Readonly<Record<string, string>> = {
  'Date.now': CLOCK,
  'performance.now': CLOCK,
  'process.hrtime': CLOCK,
  'Math.random': 'use the injected Random',
  'crypto.randomUUID': 'use the injected Random',
  setTimeout: CLOCK,
  setInterval: CLOCK,
  setImmediate: 'use Clock.defer',
}

const bannedInPureRooms: Readonly<Record<string, string>> = {
  ...bannedEverywhere,
  Date: CLOCK,
  performance: CLOCK,
  Promise: 'return the effect as data; completions are inputs of a later call',
  queueMicrotask: 'return the effect as data; completions are inputs of a later call',
  process: 'pass what is needed through the constructor',
  console: 'use the injected Logger, or return a value',
  Buffer: 'use Uint8Array, DataView and binary strings; Buffer stays at the edges',
  TextEncoder: 'encode by hand (src/base), or take a codec as a port',
  TextDecoder: 'decode by hand (src/base), or take a codec as a port',
  crypto: 'take checksums and random numbers as ports',
  Intl: 'compare with < on binary strings',
  localeCompare: 'compare with < on binary strings',
  toLocaleString: 'locales differ between machines',
  WeakRef: 'collection is not deterministic',
  FinalizationRegistry: 'collection is not deterministic',
  fetch: 'pure rooms do no I/O',
}

/** Global names used in a file, dotted where they are (`Math.random`), but not property names or declarations. */
function findBanned(source: SourceFile, banned: Readonly<Record<string, string>>): string[] {
  const found: string[] = []
  const report = (node: ts.Node, name: string) => {
    if (Object.hasOwn(banned, name)) found.push(`${source.path}:${lineOf(source.tree, node)} ${name}: ${banned[name]}`)
  }
  visit(source.tree, (node) => {
    if (ts.isAwaitExpression(node) && Object.hasOwn(banned, 'Promise')) report(node, 'Promise')
    if (ts.isPropertyAccessExpression(node)) {
      report(
        node,
        node.name.text === 'localeCompare' || node.name.text === 'toLocaleString'
          ? node.name.text
          : node.getText(source.tree),
      )
    }
    if (ts.isIdentifier(node) && isFreeName(node)) report(node, node.text)
  })
  return found
}

function isFreeName(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  if (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent))
    return 'initializer' in parent && parent.initializer === node
  const declares = ts.isMethodDeclaration(parent) || ts.isMethodSignature(parent) || ts.isPropertyDeclaration(parent)
  return !(declares && parent.name === node)
}

describe('pure rooms', () => {
  it.each(PURE_ROOMS)('%s has no clock, chance, promise or I/O', (room) => {
    expect(readSources(room).flatMap((source) => findBanned(source, bannedInPureRooms))).toEqual([])
  })

  it.each(PURE_ROOMS)('%s imports neither node: nor packages', (room) => {
    const wrong = readSources(room).flatMap((source) =>
      source.imports
        .filter(({ specifier }) => !specifier.startsWith('.'))
        .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}: take it as a port`),
    )
    expect(wrong).toEqual([])
  })
})

describe('rooms that run in the simulator', () => {
  const exceptions: readonly { readonly path: string; readonly name: RegExp; readonly why: string }[] = [
    { path: 'src/client/real-ports.ts', name: /./, why: "the SDK's real clock and random numbers" },
    {
      path: 'src/testing/scheduler.ts',
      name: /setImmediate/,
      why: 'lets the promises of client code settle, in no virtual time',
    },
  ]
  const isExcepted = (found: string) =>
    exceptions.some(({ path, name }) => found.startsWith(`${path}:`) && name.test(found))

  it.each(PORT_ROOMS)('%s takes time and chance from its ports', (room) => {
    const found = readSources(room).flatMap((source) => findBanned(source, bannedEverywhere))
    expect(found.filter((each) => !isExcepted(each))).toEqual([])
  })
})

describe('the rule itself', () => {
  const text = [
    'export function now() { return Date.now() }',
    'const a = { Date: 1 }',
    'a.Date',
    'export async function f() { await g() }',
    'const b = "x".localeCompare("y")',
    'setTimeout(now, 5)',
  ].join('\n')
  const source = parseSource({ path: 'src/raft/example.ts', text })

  it('finds uses of globals and not properties of the same name', () => {
    const lines = findBanned(source, bannedInPureRooms).map((line) => line.replace(/^[^:]+:/, '').replace(/:.*/, ''))
    expect(lines).toEqual(['1 Date.now', '1 Date', '4 Promise', '5 localeCompare', '6 setTimeout'])
  })

  it('names the replacement', () => {
    expect(findBanned(source, bannedEverywhere)).toContain('src/raft/example.ts:1 Date.now: use the injected Clock')
  })
})
