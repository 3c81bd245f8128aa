import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Mutant } from './mutant.js'
import { runNode } from './program.js'

const BUILD_MS_MAX = 600_000

/** A copy of the checkout with its compiled files, in which one mutant at a time is planted. Compiling goes on from what is there. */
export class WorkingCopy {
  readonly folder: string
  #planted: Mutant | null = null

  /** Of what git tracks in `root`, as it stands there now, changed or not; and of what was compiled. */
  constructor(root: string) {
    this.folder = mkdtempSync(join(tmpdir(), 'holdfast-mutants-'))
    process.once('exit', () => this.remove())
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
    const paths = listed.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))
    for (const path of paths) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true })
      cpSync(join(root, path), join(this.folder, path))
    }
    cpSync(join(root, 'dist'), join(this.folder, 'dist'), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'))
  }

  /** Null: planted and compiled. Else why not. */
  async plant(mutant: Mutant): Promise<string | null> {
    if (this.#planted !== null) this.#apply(this.#planted, '--reverse')
    this.#planted = null
    try {
      this.#apply(mutant)
    } catch (error) {
      return `does not apply: ${String((error as { stderr?: unknown }).stderr ?? error).trim()}`
    }
    this.#planted = mutant
    const tsc = join(this.folder, 'node_modules', 'typescript', 'bin', 'tsc')
    const { code, output } = await runNode([tsc, '-p', '.'], { cwd: this.folder, msMax: BUILD_MS_MAX })
    return code === 0 ? null : `does not compile: ${output.trim().slice(0, 1_000)}`
  }

  #apply({ path }: Mutant, ...flags: readonly string[]): void {
    // A checkout around the temporary folder is none of our business.
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(this.folder) }
    execFileSync('git', ['apply', ...flags, path], { cwd: this.folder, env, stdio: 'pipe' })
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
