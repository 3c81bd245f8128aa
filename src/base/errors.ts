/**
 * The one error catalogue. Every error that leaves a node or the SDK is a HoldfastError with one of these codes.
 *
 * `mayHaveBeenApplied` says what the code means for a write: 'no' = certainly not applied, 'unknown' = it may have been.
 * `retry` says what a client does about it: the SDK retries 'sdk' by itself until the deadline, under the same request id;
 * 'caller' may be tried again by the caller when the cause is gone; 'never' will fail the same way again.
 */
export const errorCatalogue = {
  NOT_LEADER: {
    grpc: 'UNAVAILABLE',
    mayHaveBeenApplied: 'no',
    retry: 'sdk',
    exit: 3,
    text: 'this replica does not lead the range',
  },
  RANGE_MOVED: {
    grpc: 'UNAVAILABLE',
    mayHaveBeenApplied: 'no',
    retry: 'sdk',
    exit: 3,
    text: 'the range no longer covers this key',
  },
  CONDITION_FAILED: {
    grpc: 'FAILED_PRECONDITION',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 1,
    text: 'a condition did not hold',
  },
  CROSSES_RANGES: {
    grpc: 'FAILED_PRECONDITION',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 5,
    text: 'the keys of this batch lie in several ranges',
  },
  TOO_LARGE: {
    grpc: 'INVALID_ARGUMENT',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 2,
    text: 'a size is over its limit',
  },
  INVALID_ARGUMENT: {
    grpc: 'INVALID_ARGUMENT',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 2,
    text: 'the request is malformed',
  },
  OVERLOADED: { grpc: 'RESOURCE_EXHAUSTED', mayHaveBeenApplied: 'no', retry: 'sdk', exit: 3, text: 'a queue is full' },
  DISK_FULL: {
    grpc: 'RESOURCE_EXHAUSTED',
    mayHaveBeenApplied: 'no',
    retry: 'caller',
    exit: 3,
    text: 'no space is left for writes',
  },
  UNAVAILABLE: {
    grpc: 'UNAVAILABLE',
    mayHaveBeenApplied: 'no',
    retry: 'sdk',
    exit: 3,
    text: 'nobody could serve the request',
  },
  DEADLINE: {
    grpc: 'DEADLINE_EXCEEDED',
    mayHaveBeenApplied: 'no',
    retry: 'caller',
    exit: 3,
    text: 'the deadline passed before the request was executed',
  },
  OUTCOME_UNKNOWN: {
    grpc: 'UNKNOWN',
    mayHaveBeenApplied: 'unknown',
    retry: 'caller',
    exit: 4,
    text: 'the write may or may not have been applied',
  },
  SESSION_EXPIRED: {
    grpc: 'ABORTED',
    mayHaveBeenApplied: 'no',
    retry: 'sdk',
    exit: 3,
    text: "the range has let go of this session's past",
  },
  BELOW_FLOOR: {
    grpc: 'OUT_OF_RANGE',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 5,
    text: 'the version is older than what is kept',
  },
  WRONG_CLUSTER: {
    grpc: 'FAILED_PRECONDITION',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 5,
    text: 'the other side belongs to another cluster',
  },
  VERSION_TOO_FAR: {
    grpc: 'FAILED_PRECONDITION',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 5,
    text: 'a version lies too far in the future',
  },
  NOT_PERMITTED: {
    grpc: 'PERMISSION_DENIED',
    mayHaveBeenApplied: 'no',
    retry: 'never',
    exit: 5,
    text: 'this is not allowed',
  },
  CANCELLED: {
    grpc: 'CANCELLED',
    mayHaveBeenApplied: 'no',
    retry: 'caller',
    exit: 3,
    text: 'the caller gave the call up before it was sent',
  },
  INTERNAL: {
    grpc: 'INTERNAL',
    mayHaveBeenApplied: 'unknown',
    retry: 'never',
    exit: 3,
    text: 'the node found a contradiction',
  },
} as const

export type ErrorCode = keyof typeof errorCatalogue

export const errorCodes = Object.keys(errorCatalogue) as ErrorCode[]

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(errorCatalogue, value)
}

export interface ErrorDetails {
  /** Wait at least this long before trying again (OVERLOADED). */
  readonly retryAfterMs?: number
  /** False where the code alone would say more than is so: a read leaves nothing behind, whatever happened to it. */
  readonly mayHaveBeenApplied?: false
  readonly cause?: unknown
}

/** What every failed call throws. `mayHaveBeenApplied` is true only where a write's outcome is unknown. */
export class HoldfastError extends Error {
  override readonly name: string = 'HoldfastError'
  readonly code: ErrorCode
  readonly mayHaveBeenApplied: boolean
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.mayHaveBeenApplied = details.mayHaveBeenApplied ?? errorCatalogue[code].mayHaveBeenApplied === 'unknown'
    this.retryAfterMs = details.retryAfterMs
  }
}
