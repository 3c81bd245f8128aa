import grpc from '@grpc/grpc-js'
import { type ErrorCode, errorCatalogue, HoldfastError, isErrorCode } from '../base/errors.js'
import { WireError } from './wire/reader.js'

/** Names of the trailing metadata that a failed call carries. */
export const CODE_KEY = 'holdfast-code'
export const APPLIED_KEY = 'holdfast-may-have-been-applied'
export const RETRY_KEY = 'holdfast-retry-after-ms'

const DETAILS_CHARACTERS_MAX = 2_000

export interface Status {
  readonly code: grpc.status
  readonly details: string
  readonly metadata: grpc.Metadata
}

/** What a failed call sends: the catalogue's gRPC status, and the catalogue's own words in trailing metadata. */
export function statusOf(error: HoldfastError): Status {
  const metadata = new grpc.Metadata()
  metadata.set(CODE_KEY, error.code)
  metadata.set(APPLIED_KEY, String(error.mayHaveBeenApplied))
  if (error.retryAfterMs !== undefined) metadata.set(RETRY_KEY, String(Math.ceil(error.retryAfterMs)))
  return { code: grpc.status[errorCatalogue[error.code].grpc], details: wellFormed(error.message), metadata }
}

/** grpc-js percent-encodes details with encodeURI, which throws on half a character. */
function wellFormed(text: string): string {
  return Buffer.from(text.slice(0, DETAILS_CHARACTERS_MAX)).toString()
}

/** Anything thrown while a call was served, as what may leave the node. Not for assertions: those stop the node. */
export function holdfastErrorOf(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error
  if (error instanceof WireError)
    return new HoldfastError('INVALID_ARGUMENT', `the message is malformed: ${error.message}`)
  return new HoldfastError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error })
}

/** What the other side's status says, with the address that said it. */
export function errorFromStatus(address: string, error: grpc.StatusObject | grpc.ServiceError): HoldfastError {
  const named = error.metadata?.get(CODE_KEY)[0]
  const retry = Number(error.metadata?.get(RETRY_KEY)[0])
  const code = isErrorCode(named) ? named : codeOf(error.code)
  const details = { cause: error, ...(Number.isFinite(retry) ? { retryAfterMs: retry } : {}) }
  return new HoldfastError(code, `${address}: ${withoutTime(error.details)}`, details)
}

/** Of a failed call: the node said why; or there was no connection, so that nothing was sent; or nobody knows what became of it. */
export function whoFailed({ cause }: HoldfastError): 'node' | 'connection' | 'call' {
  const { metadata, details = '' } = (cause ?? {}) as Partial<grpc.ServiceError>
  if (isErrorCode(metadata?.get(CODE_KEY)[0])) return 'node'
  return /^(No connection established|Name resolution failed)/.test(details) ? 'connection' : 'call'
}

/** For calls that failed below the level of Holdfast. */
function codeOf(status: grpc.status): ErrorCode {
  if (status === grpc.status.DEADLINE_EXCEEDED) return 'DEADLINE'
  if (status === grpc.status.RESOURCE_EXHAUSTED) return 'TOO_LARGE'
  if (status === grpc.status.CANCELLED) return 'CANCELLED'
  return 'UNAVAILABLE'
}

/** grpc-js adds the time of day to some details; without it, the same failure reads the same each time. */
function withoutTime(details: string): string {
  return details.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, '')
}
