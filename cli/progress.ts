import cliProgress from 'cli-progress'
import type { Terminal } from './terminal.js'

export interface Progress {
  update(done: { readonly bytes: number; readonly rows: number }): void
  stop(): void
}

const silent: Progress = { update() {}, stop() {} }

/** A bar on standard error for a person, nothing for a pipe. `totalBytes` null: not known. */
export function startProgress(terminal: Terminal, { totalBytes }: { totalBytes: number | null }): Progress {
  if (!terminal.notesAreTty || totalBytes === null) return silent
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage}%  {rows} rows  {eta_formatted} left',
    barCompleteChar: '#',
    barIncompleteChar: '.',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  })
  bar.start(totalBytes, 0, { rows: 0 })
  return {
    update: ({ bytes, rows }) => bar.update(bytes, { rows }),
    stop: () => bar.stop(),
  }
}
