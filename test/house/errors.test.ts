import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorCatalogue, errorCodes } from '../../src/base/errors.js'
import { root } from './project.js'

/** Rows of the table in docs/errors.md, by code. */
function documentedRows(): Map<string, string[]> {
  const rows = new Map<string, string[]>()
  for (const line of readFileSync(join(root, 'docs/errors.md'), 'utf8').split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim().replace(/`/g, ''))
    if (cells[1] !== undefined && /^[A-Z_]+$/.test(cells[1])) rows.set(cells[1], cells.slice(2, -1))
  }
  return rows
}

describe('docs/errors.md', () => {
  const rows = documentedRows()

  it.each(errorCodes)('%s is documented as the catalogue has it', (code) => {
    const entry = errorCatalogue[code]
    const [applied, grpc, retry, exit, meaning, action] = rows.get(code) ?? []
    expect({ applied, grpc, retry, exit }).toEqual({
      applied: entry.mayHaveBeenApplied,
      grpc: entry.grpc,
      retry: entry.retry,
      exit: String(entry.exit),
    })
    expect(meaning?.length).toBeGreaterThan(10)
    expect(action?.length).toBeGreaterThan(5)
  })

  it('documents no code that does not exist', () => {
    expect([...rows.keys()].filter((code) => !(errorCodes as readonly string[]).includes(code))).toEqual([])
  })
})
