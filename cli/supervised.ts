/** What a node started by `dev` tells its parent over the IPC channel. */
export type ChildMessage =
  | {
      readonly kind: 'ready'
      readonly node: number | null
      readonly clientAddress: string
      readonly peerAddress: string
    }
  | { readonly kind: 'failed'; readonly message: string }

export function tellParent(message: ChildMessage): void {
  // A parent that has just gone is no error: its going is noticed on its own.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}

/** Calls `gone` when the parent has ended, however it ended: the channel closes then. */
export function watchParent(gone: () => void): void {
  if (process.channel !== undefined) process.once('disconnect', gone)
}

export function isChildMessage(value: unknown): value is ChildMessage {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false
  return value.kind === 'ready' || value.kind === 'failed'
}
