import type { Operation } from './linearizability.js'

/** A line of a history file that is not an operation. `line` counts from 1. */
export class HistoryFileError extends Error {
  override readonly name = 'HistoryFileError'
  readonly line: number

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`)
    this.line = line
  }
}

/**
 * One operation as a line of `history.jsonl`, without the line's end:
 * `{client, op: put|get|delete|cas, key, value, expect, result, found, status: ok|fail|info, start_ns, end_ns}`. What an operation does not have
 * is left out. `invoke` and `complete` are nanoseconds of one monotonic clock, whole and below 2^53: count them from the start of the run.
 */
export function formatOperation(operation: Operation): string {
  const { client, op, key, status, invoke, complete } = operation
  return JSON.stringify({
    client,
    op,
    key,
    value: 'value' in operation ? operation.value : undefined,
    expect: 'expect' in operation ? operation.expect : undefined,
    result: 'result' in operation && status === 'ok' ? operation.result : undefined,
    found: 'found' in operation && status === 'ok' ? operation.found : undefined,
    status,
    start_ns: invoke,
    end_ns: complete,
  })
}

/** @throws HistoryFileError that names the line and what was expected there. Empty lines are passed over. */
export function parseHistory(text: string): Operation[] {
  const operations: Operation[] = []
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() !== '') operations.push(parseOperation(line, at + 1))
  }
  return operations
}

/** One line of a history file. @throws HistoryFileError */
export function parseOperation(text: string, line = 1): Operation {
  const fields = new Fields(text, line)
  const status = fields.oneOf('status', ['ok', 'fail', 'info'])
  const timed = {
    client: fields.client(),
    key: fields.text('key'),
    status,
    invoke: fields.nanoseconds('start_ns'),
    complete: fields.nanoseconds('end_ns'),
  }
  if (timed.complete < timed.invoke) throw new HistoryFileError(line, 'it ends before it starts: end_ns < start_ns')
  const isOk = status === 'ok'
  const op = fields.oneOf('op', ['put', 'get', 'delete', 'cas'])
  switch (op) {
    case 'put':
      return { ...timed, op, value: fields.text('value') }
    case 'get':
      return { ...timed, op, result: isOk ? fields.textOrNull('result') : null }
    case 'delete':
      return { ...timed, op, ...(isOk && fields.has('result') ? { result: fields.boolean('result') } : {}) }
    case 'cas':
      return {
        ...timed,
        op,
        expect: fields.textOrNull('expect'),
        value: fields.text('value'),
        result: isOk && fields.boolean('result'),
        ...(isOk && fields.has('found') ? { found: fields.textOrNull('found') } : {}),
      }
  }
}

/** The fields of one line, each checked when it is asked for. */
class Fields {
  readonly #line: number
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(text: string, line: number) {
    this.#line = line
    this.#fields = this.#parse(text)
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined
  }

  client(): string | number {
    const { client } = this.#fields
    return typeof client === 'string' || typeof client === 'number'
      ? client
      : this.#expected('client', 'a string or a number')
  }

  text(name: string): string {
    const value = this.#fields[name]
    return typeof value === 'string' ? value : this.#expected(name, 'a string')
  }

  textOrNull(name: string): string | null {
    const value = this.#fields[name]
    return typeof value === 'string' || value === null ? value : this.#expected(name, 'a string or null')
  }

  boolean(name: string): boolean {
    const value = this.#fields[name]
    return typeof value === 'boolean' ? value : this.#expected(name, 'true or false')
  }

  nanoseconds(name: string): number {
    const value = this.#fields[name]
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.#expected(name, 'a whole number of nanoseconds below 2^53')
  }

  oneOf<T extends string>(name: string, names: readonly T[]): T {
    const value = this.#fields[name]
    return names.find((known) => known === value) ?? this.#expected(name, names.join(', '))
  }

  #parse(text: string): Readonly<Record<string, unknown>> {
    try {
      const parsed: unknown = JSON.parse(text)
      if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
        return parsed as Record<string, unknown>
    } catch {
      // The same answer as for any other line that is no object.
    }
    throw new HistoryFileError(this.#line, 'expected a JSON object')
  }

  #expected(name: string, expected: string): never {
    const found = this.has(name) ? JSON.stringify(this.#fields[name]) : 'nothing'
    throw new HistoryFileError(this.#line, `${name}: expected ${expected}, found ${found}`)
  }
}
