import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { Hunt } from './hunt.js'
import type { Mutant } from './mutant.js'

/** One hunt, as a line of a file. */
interface Line {
  readonly mutant: string
  /** Digests of the patch, of the tree that it was planted in, and of how much of the tests it met. */
  readonly patch: string
  readonly tree: string
  readonly volume: string
  readonly hunt: Hunt
}

/** Hunts of earlier runs: a whole run takes hours, and what it found outlives a stop in its middle. */
export class SavedHunts {
  readonly #path: string
  readonly #tree: string
  readonly #volume: string
  readonly #lines: readonly Line[]

  /** `root`: of the checkout. `volume`: what a hunt tries before it gives up; one that ended with a catch tried no more than it had to. */
  constructor({ path, root, volume }: { path: string; root: string; volume: string }) {
    this.#path = path
    this.#tree = treeOf(root)
    this.#volume = volume
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    // The last line of a run that was killed may be cut.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
    this.#lines = whole.filter((line) => line !== '').map((line) => JSON.parse(line) as Line)
  }

  /** Of this very mutant in this very tree; null: there is none. */
  find(mutant: Mutant): Hunt | null {
    const patch = patchOf(mutant)
    const found = this.#lines.findLast((line) => {
      const isSame = line.mutant === mutant.name && line.patch === patch && line.tree === this.#tree
      return isSame && (line.hunt.caught !== null || line.volume === this.#volume)
    })
    return found?.hunt ?? null
  }

  add(mutant: Mutant, hunt: Hunt): void {
    const line = { mutant: mutant.name, patch: patchOf(mutant), tree: this.#tree, volume: this.#volume, hunt }
    appendFileSync(this.#path, `${JSON.stringify(line satisfies Line)}\n`)
  }
}

function patchOf({ path }: Mutant): string {
  return digestOf(readFileSync(path, 'utf8'))
}

/** Of all that git tracks but the mutants and what people read. */
function treeOf(root: string): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 })
  const isCode = (line: string) => !/\t(test\/mutants\/|docs\/)|\.md$/.test(line)
  const committed = git('ls-tree', '-r', 'HEAD').split('\n').filter(isCode)
  return digestOf(committed.join('\n') + git('diff', 'HEAD', '--', '.', ':!test/mutants', ':!docs', ':!*.md'))
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
