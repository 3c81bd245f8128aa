/**
 * The last error of a node that ended by itself, as far as a fault explains it. LevelDB opens all or nothing, and does not say why not.
 */
export const lastErrors = {
  /** Every fsync fails. */
  eio: /\bEIO\b|Input\/output error|Database failed to open/,
  /** The memory behind its disk has no room: that is told as one or the other. */
  lost: /\b(EIO|ENOSPC)\b|Input\/output error|no space (is )?left on (the )?device|Database failed to open/i,
  /** A node writes at every start. */
  full: /\(DISK_FULL\)$/,
  /** A start that is refused, or one that comes upon the damage later. SIGBUS: a mapped table is too short. */
  rot: /damaged|node rejoin|corruption|checksum|another version|not whole|Database failed to open|^SIGBUS$/i,
}
