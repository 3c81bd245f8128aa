import type grpc from '@grpc/grpc-js'
import type { NodeInfo } from '../base/descriptor.js'
import { HoldfastError } from '../base/errors.js'
import { limits } from '../base/limits.js'
import type { Logger } from '../base/ports.js'
import { adminMethods, keyValueMethods } from './methods.js'
import { holdfastErrorOf, statusOf } from './statuses.js'
import type { UnaryCall, UnaryHandler } from './unary.js'
import { checkBatch, checkDelete, checkInit, checkKey, checkKeys, checkPut, checkScan } from './unary-checks.js'
import { UnaryLoad } from './unary-load.js'
import { encode } from './wire/frames.js'
import {
  decodeInit,
  decodeTransfer,
  type InitRequest,
  writeInitResult,
  writeSplitResult,
  writeStatusResult,
} from './wire/unary-admin.js'
import {
  decodeBatch,
  decodeDelete,
  decodeGet,
  decodeKey,
  decodeKeys,
  decodePut,
  decodeScan,
  writeDeleteResult,
  writeGetManyResult,
  writeGetResult,
  writeScanResult,
  writeVersionResult,
} from './wire/unary-key-value.js'
import type { Writer } from './wire/writer.js'

type Handle = grpc.handleUnaryCall<Buffer, Buffer>

const RESULT_BYTES_MAX = limits.messageBytesMax - 64 * 1024

/** Serves one kind of call: decode, check, ask the node, encode. Whatever goes wrong reaches the caller by its code. */
export class UnaryService {
  readonly #logger: Logger
  readonly #load = new UnaryLoad()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Open calls, and the bytes that they hold. */
  get load(): { readonly calls: number; readonly bytes: number } {
    return this.#load
  }

  addTo(server: grpc.Server, handler: UnaryHandler, init: (request: InitRequest) => Promise<Born>): void {
    server.addService(keyValueMethods, {
      get: this.#handle(decodeGet, checkKey, (request, call) => handler.get(request, call), writeGetResult),
      getMany: this.#handle(
        decodeKeys,
        checkKeys,
        (request, call) => handler.getMany(request, call),
        writeGetManyResult,
      ),
      put: this.#handle(decodePut, checkPut, (request, call) => handler.put(request, call), writeVersionResult),
      delete: this.#handle(
        decodeDelete,
        checkDelete,
        (request, call) => handler.delete(request, call),
        writeDeleteResult,
      ),
      batch: this.#handle(decodeBatch, checkBatch, (request, call) => handler.batch(request, call), writeVersionResult),
      scan: this.#handle(
        decodeScan,
        checkScan,
        (scan, call) => handler.scan({ ...scan, limit: scan.limit === 0 ? limits.scanRowsMax : scan.limit }, call),
        writeScanResult,
      ),
    })
    server.addService(adminMethods, {
      init: this.#handle(decodeInit, checkInit, (request) => init(request), writeInitResult),
      split: this.#handle(decodeKey, checkKey, (request, call) => handler.split(request, call), writeSplitResult),
      transfer: this.#handle(decodeTransfer, nothing, (request, call) => handler.transfer(request, call), nothing),
      status: this.#handle(nothing, nothing, (_, call) => handler.status(call), writeStatusResult),
    })
  }

  #handle<Request, Result>(
    decode: (bytes: Buffer) => Request,
    check: (request: Request) => void,
    run: (request: Request, call: UnaryCall) => Promise<Result>,
    write: (writer: Writer, result: Result) => void,
  ): Handle {
    const serve = async (call: grpc.ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> => {
      const request = decode(call.request)
      check(request)
      return fitting(await run(request, contextOf(call)), write)
    }
    return (call, answer) => {
      this.#load
        .run(call, () => serve(call))
        .then(
          (bytes) => answer(null, bytes),
          (error: unknown) => {
            const named = holdfastErrorOf(error)
            if (named.code === 'INTERNAL') {
              this.#logger.log('error', `${call.getPath()} failed: ${named.message}`, { error })
            }
            answer(statusOf(named))
          },
        )
    }
  }
}

interface Born {
  readonly cluster: string
  readonly nodes: readonly NodeInfo[]
}

/** A call without content. */
function nothing(): void {}

function fitting<Result>(result: Result, write: (writer: Writer, result: Result) => void): Buffer {
  const bytes = encode((writer) => write(writer, result))
  if (bytes.length <= RESULT_BYTES_MAX) return bytes
  const message = `the result has ${bytes.length} bytes, more than a message holds (${RESULT_BYTES_MAX}): ask for less`
  throw new HoldfastError('TOO_LARGE', message)
}

function contextOf(call: grpc.ServerUnaryCall<Buffer, Buffer>): UnaryCall {
  const abort = new AbortController()
  if (call.cancelled) abort.abort()
  else call.on('cancelled', () => abort.abort())
  const deadline = call.getDeadline()
  const left = Number(deadline) - Date.now()
  const deadlineMs = Number.isFinite(left)
    ? Math.min(Math.max(left, 0), limits.deadlineMsMax)
    : limits.defaultDeadlineMs
  return { deadlineMs, signal: abort.signal }
}
