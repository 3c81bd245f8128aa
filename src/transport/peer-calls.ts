import { callOnce } from './calls.js'
import { peerMethods } from './methods.js'
import type { BirthDocument, JoinAnswer, JoinRequest, NodeIdentification } from './peer-types.js'
import { decodeIdentification, decodeJoinAnswer, encodeBirth, encodeJoin } from './wire/peer-calls.js'

/** Calls between nodes that have no session yet. Each rejects with a HoldfastError that names the address. */

interface CallOptions {
  /** Default 5 s. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 5_000

export function callJoin(address: string, request: JoinRequest, options: CallOptions = {}): Promise<JoinAnswer> {
  return callOnce(address, {
    method: peerMethods.join,
    request: encodeJoin(request),
    decode: decodeJoinAnswer,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
  })
}

export function callBirth(address: string, document: BirthDocument, options: CallOptions = {}): Promise<void> {
  return callOnce(address, {
    method: peerMethods.birth,
    request: encodeBirth(document),
    decode: () => undefined,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
  })
}

export function callIdentify(address: string, options: CallOptions = {}): Promise<NodeIdentification> {
  return callOnce(address, {
    method: peerMethods.identify,
    request: Buffer.alloc(0),
    decode: decodeIdentification,
    deadlineMs: options.deadlineMs ?? DEADLINE_MS,
  })
}
