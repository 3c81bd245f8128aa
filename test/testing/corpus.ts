import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseHistory } from '../../src/testing/history-file.js'
import type { Operation } from '../../src/testing/linearizability.js'
import { root } from '../house/project.js'

export interface Case {
  readonly name: string
  readonly verdict: 'legal' | 'illegal'
  readonly text: string
  readonly history: readonly Operation[]
}

const folder = join(root, 'test/testing/histories')

/** Small histories whose verdict is plain to a reader: `legal.NAME.jsonl` and `illegal.NAME.jsonl`. */
export function corpus(): Case[] {
  return readdirSync(folder)
    .sort()
    .map((file) => {
      const [verdict, name] = file.split('.') as ['legal' | 'illegal', string]
      const text = readFileSync(join(folder, file), 'utf8')
      return { name: name.replaceAll('-', ' '), verdict, text, history: parseHistory(text) }
    })
}
