import Table from 'cli-table3'
import type { Hunt } from './hunt.js'
import type { Mutant } from './mutant.js'

/** Of the mutants, this share must be noticed. */
export const BAR = 0.9

/** What became of one: hunted, or not even planted. */
export type Row =
  | { readonly mutant: Mutant; readonly hunt: Hunt; readonly failure?: never }
  | { readonly mutant: Mutant; readonly failure: string; readonly hunt?: never }

const SAID_CHARACTERS = 100

export function lineOf({ mutant, hunt, failure }: Row): string {
  if (failure !== undefined) return `${mutant.name}: ${failure}`
  const { caught, seeds, ms } = hunt
  const effort = `after ${seeds} seeds, ${(ms / 1_000).toFixed(0)} s`
  if (caught === null) return `${mutant.name}: noticed by nothing ${effort}`
  return `${mutant.name}: ${caught.by}, ${caught.where}, ${effort}: ${caught.said}`
}

export function tableOf(rows: readonly Row[]): string {
  const table = new Table({
    head: ['mutant', 'caught by', 'seeds', 's', 'what was said'],
    style: { head: [], border: [] },
  })
  for (const { mutant, hunt, failure } of rows) {
    if (failure !== undefined) {
      table.push([mutant.name, 'not planted', '', '', short(failure)])
      continue
    }
    const { caught, seeds, ms } = hunt
    const by =
      caught === null ? 'nothing' : caught.by === 'seed' ? caught.where : `${caught.by}: ${short(caught.where)}`
    table.push([mutant.name, by, String(seeds), (ms / 1_000).toFixed(0), short(caught?.said ?? '')])
  }
  return table.toString()
}

export function verdictOf(rows: readonly Row[]): { readonly isGood: boolean; readonly text: string } {
  const unplanted = rows.filter(({ failure }) => failure !== undefined)
  const missed = rows.filter(({ hunt }) => hunt?.caught === null)
  const caught = rows.length - unplanted.length - missed.length
  const isGood = unplanted.length === 0 && caught >= BAR * rows.length
  const names = (of: readonly Row[]) => of.map(({ mutant }) => mutant.name).join(', ')
  const lines = [`${caught} of ${rows.length} mutants caught; at least ${Math.ceil(BAR * rows.length)} must be`]
  if (missed.length > 0) lines.push(`noticed by nothing: ${names(missed)}`)
  if (unplanted.length > 0) lines.push(`to be written anew: ${names(unplanted)}`)
  return { isGood, text: lines.join('\n') }
}

function short(text: string): string {
  const line = text.split('\n', 1)[0]!
  return line.length <= SAID_CHARACTERS ? line : `${line.slice(0, SAID_CHARACTERS - 1)}…`
}
