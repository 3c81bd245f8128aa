import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { lineOf, readSources, root, visit } from './project.js'

/** Files of the checkout; a package unpacked without git has none to look at. */
function trackedFiles(): string[] {
  if (!existsSync(join(root, '.git'))) return []
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  return listed
    .split('\0')
    .filter((path) => path !== '' && path !== 'package-lock.json' && existsSync(join(root, path)))
}

const OUTSIDE = ['..', 'shared'].join('/')

/** Calls on the state database that break its rules, and why. */
const bannedCalls: Readonly<Record<string, string>> = {
  clear: 'deletes without the read barrier (google/leveldb#320)',
  del: 'records are written once; collection deletes behind the read barrier',
  snapshot: 'two versions of a physical key must never be alive in a compaction; read by version instead',
}

describe('house rules on text', () => {
  it('no tracked file names a folder that a user does not have', () => {
    const wrong = trackedFiles().filter((path) => readFileSync(join(root, path), 'latin1').includes(OUTSIDE))
    expect(wrong).toEqual([])
  })

  it('nothing is called on the state database that breaks write-once', () => {
    const wrong = readSources('src/storage').flatMap((source) => {
      const found: string[] = []
      visit(source.tree, (node) => {
        if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return
        const method = node.expression.name.text
        const receiver = node.expression.expression.getText(source.tree)
        if (!Object.hasOwn(bannedCalls, method) || !/(^|[.#])(db|level|database)$/i.test(receiver)) return
        found.push(`${source.path}:${lineOf(source.tree, node)} ${receiver}.${method}: ${bannedCalls[method]}`)
      })
      return found
    })
    expect(wrong).toEqual([])
  })

  it('there are no default exports and no `any`', () => {
    const wrong = readSources('src', 'cli', 'bench', 'test').flatMap((source) => {
      const found: string[] = []
      visit(source.tree, (node) => {
        const line = lineOf(source.tree, node)
        if (ts.isExportAssignment(node)) found.push(`${source.path}:${line} default export: name it`)
        if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${source.path}:${line} any: use unknown and check it`)
      })
      return found
    })
    expect(wrong).toEqual([])
  })

  it('no source file is longer than a reader can hold', () => {
    const LINES_MAX = 500
    const wrong = readSources('src', 'cli')
      .map((source) => ({ path: source.path, lines: source.text.split('\n').length }))
      .filter(({ lines }) => lines > LINES_MAX)
    expect(wrong).toEqual([])
  })

  it('sources import compiled names, and nothing runs at import time for its effect', () => {
    const wrong = readSources('src', 'cli').flatMap((source) =>
      source.imports
        .filter(({ specifier }) => specifier.startsWith('.') && !specifier.endsWith('.js'))
        .map(({ specifier, line }) => `${source.path}:${line} imports ${specifier}: end it in .js`),
    )
    expect(wrong).toEqual([])
  })
})
