import Table from 'cli-table3'

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

export type Cell = string | number

/** Columns under headings, without borders, so that awk and grep work on it too. */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const made = new Table({
    head: [...headings],
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) made.push(row.map(String))
  const lines = made.toString().split('\n')
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

const CELL_WIDTH_MAX = 200

/** For a cell: no line ends, nothing that a terminal would obey, of bounded width. */
export function oneLine(text: string): string {
  const flat = text.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return flat.length > CELL_WIDTH_MAX ? `${flat.slice(0, CELL_WIDTH_MAX)}…` : flat
}
