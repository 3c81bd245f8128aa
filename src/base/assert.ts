/** Thrown where the program contradicts itself. Never caught to go on: the node stops. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Always on. `details` are shown in the message, so pass the values that contradict each other. */
export function assert(condition: boolean, message: string, ...details: unknown[]): asserts condition {
  if (!condition) throw new AssertionError(details.length > 0 ? `${message}: ${details.map(show).join(', ')}` : message)
}

export function assertNever(value: never): never {
  throw new AssertionError(`unexpected variant: ${show(value)}`)
}

function show(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}
