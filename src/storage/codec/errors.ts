/** Stored bytes that are not what was written: a checksum does not match, or the bytes end too early. Never served. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
}

/** Stored bytes that this version of the program cannot read. Stops the replica: skipping them would make it diverge. */
export class UnknownFormatError extends Error {
  override readonly name = 'UnknownFormatError'
}
