import { HoldfastError } from '../src/base/errors.js'
import { type Holdfast, storedKeyOf } from '../src/client/index.js'
import { type Line, readLines } from './lines.js'
import { type ImportedRow, parseRow } from './rows.js'
import type { ValueCodec } from './values.js'

const BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024

export interface ImportOptions {
  readonly codec: ValueCodec
  /** Puts under way at once. */
  readonly inFlight: number
  readonly onProgress: (done: { readonly bytes: number; readonly rows: number }) => void
}

/**
 * Puts every row, many at once; the SDK gathers them into messages and the nodes into log entries. After the first failure
 * nothing more is sent, what is under way ends, and that failure is thrown with its line. Importing again is safe.
 */
export async function importRows(
  db: Pick<Holdfast, 'put'>,
  input: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<number> {
  const window = new Window(options.inFlight)
  let rows = 0
  let bytes = 0
  let failure: unknown = null
  const put = async (row: ImportedRow, stored: string, line: Line): Promise<void> => {
    try {
      await db.put(row.key, row.value, { codec: row.codec })
      rows += 1
    } catch (error) {
      failure ??= atLine(error, line)
    } finally {
      window.leave(stored, line.text.length)
    }
  }
  const counted = countBytes(input, (count) => {
    bytes += count
    options.onProgress({ bytes, rows })
  })
  try {
    for await (const line of readLines(counted)) {
      if (failure !== null) break
      const row = parseRow(line, options.codec)
      const stored = storedKeyOf(row.key)
      await window.enter(stored, line.text.length)
      void put(row, stored, line)
    }
  } catch (error) {
    failure ??= error
  }
  await window.empty()
  if (failure !== null) throw withProgress(failure, rows)
  return rows
}

async function* countBytes(
  chunks: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk
    count(chunk.length)
  }
}

function atLine(error: unknown, line: Line): unknown {
  if (!(error instanceof HoldfastError)) return error
  return new HoldfastError(error.code, `line ${line.number}: ${error.message}`, { cause: error })
}

function withProgress(error: unknown, rows: number): unknown {
  if (!(error instanceof HoldfastError)) return error
  return new HoldfastError(error.code, `${error.message}. ${rows} rows were written before`, { cause: error })
}

/** Bounds what is under way in number and size, and to one put per key: of two lines the later one wins. One producer. */
class Window {
  readonly #keys = new Set<string>()
  readonly #countMax: number
  #bytes = 0
  #wake: (() => void) | null = null

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  async enter(key: string, bytes: number): Promise<void> {
    while (!this.#hasRoom(key, bytes)) await this.#left()
    this.#keys.add(key)
    this.#bytes += bytes
  }

  #hasRoom(key: string, bytes: number): boolean {
    if (this.#keys.size === 0) return true
    return !this.#keys.has(key) && this.#keys.size < this.#countMax && this.#bytes + bytes <= BYTES_IN_FLIGHT_MAX
  }

  leave(key: string, bytes: number): void {
    this.#keys.delete(key)
    this.#bytes -= bytes
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  async empty(): Promise<void> {
    while (this.#keys.size > 0) await this.#left()
  }

  #left(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
