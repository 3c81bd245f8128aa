import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './project.js'

const rows = readFileSync(join(root, 'docs', 'faults.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => {
    const cells = line.split('|').map((cell) => cell.trim())
    return { number: Number(cells[1]), scenario: cells[4]! }
  })

/** Pairs of a file and a title in it. */
function testsIn(scenario: string): (readonly [path: string, title: string])[] {
  return [...scenario.matchAll(/`(test\/[^`]+)`((?:,? "[^"]+")+)/g)].flatMap(([, path, titles]) =>
    [...titles!.matchAll(/"([^"]+)"/g)].map(([, title]) => [path!, title!] as const),
  )
}

describe('docs/faults.md', () => {
  it('has a row for each of the 24 failures', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, at) => at + 1))
  })

  it.each(rows)('$number names tests that exist, or what it waits for', ({ scenario }) => {
    const tests = testsIn(scenario)
    expect(tests.length > 0 || scenario.startsWith('waits for ')).toBe(true)
    for (const [path, title] of tests) {
      expect(existsSync(join(root, path)), path).toBe(true)
      expect(readFileSync(join(root, path), 'utf8'), `${path}: ${title}`).toContain(title)
    }
  })
})
