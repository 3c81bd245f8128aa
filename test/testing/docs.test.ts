import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../house/project.js'

const folder = join(root, 'test/testing/example')
/** Compiled and run like all tests. */
const examples = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8').trim())

function blocksOf(document: string): string[] {
  const text = readFileSync(join(root, document), 'utf8')
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!.trim())
}

describe('what the documents show of holdfast/testing is what is compiled and run', () => {
  it('docs/testing.md shows every example, whole', () => {
    expect(blocksOf('docs/testing.md').sort()).toEqual(examples.sort())
  })

  it('the README shows one', () => {
    const shown = blocksOf('README.md').filter((code) => code.includes('holdfast/testing'))
    expect(shown.length).toBeGreaterThan(0)
    for (const code of shown) expect(examples).toContain(code)
  })
})
