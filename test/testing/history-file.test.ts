import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatOperation, HistoryFileError, parseHistory, parseOperation } from '../../src/testing/history-file.js'
import type { Operation } from '../../src/testing/linearizability.js'
import { corpus } from './corpus.js'

const line =
  '{"client":1,"op":"cas","key":"k","value":"b","expect":null,"result":true,"status":"ok","start_ns":10,"end_ns":20}'

describe('a history file', () => {
  it('has a line for each operation, with nanoseconds as whole numbers', () => {
    const operation = parseOperation(line)
    expect(operation).toEqual({
      client: 1,
      op: 'cas',
      key: 'k',
      expect: null,
      value: 'b',
      result: true,
      status: 'ok',
      invoke: 10,
      complete: 20,
    })
    expect(formatOperation(operation)).toBe(line)
  })

  it.each(corpus())('is read and written again as it was: $verdict $name', ({ text, history }) => {
    expect(history.map((operation) => `${formatOperation(operation)}\n`).join('')).toBe(text)
  })

  it('gives back every operation that was written', () => {
    fc.assert(
      fc.property(fc.array(arbitraryOperation()), (operations) => {
        expect(parseHistory(operations.map(formatOperation).join('\n'))).toEqual(operations)
      }),
      { numRuns: 300, seed: 1 },
    )
  })

  it('says nothing of results where the operation did not succeed', () => {
    const unknown = formatOperation({ ...parseOperation(line), status: 'info' })
    expect(unknown).not.toContain('result')
    expect(parseOperation(unknown)).toMatchObject({ status: 'info', op: 'cas', value: 'b' })
  })

  it.each([
    ['no object', '[1]', 'expected a JSON object'],
    ['half a line', line.slice(0, 30), 'expected a JSON object'],
    ['an unknown operation', line.replace('cas', 'append'), 'op: expected put, get, delete, cas, found "append"'],
    ['an unknown status', line.replace('"ok"', '"okay"'), 'status: expected ok, fail, info, found "okay"'],
    ['no client', line.replace('"client":1,', ''), 'client: expected a string or a number, found nothing'],
    ['no value', line.replace('"value":"b",', ''), 'value: expected a string, found nothing'],
    ['a result that is none', line.replace('"result":true', '"result":"b"'), 'result: expected true or false'],
    ['a broken time', line.replace('"start_ns":10', '"start_ns":1.5'), 'start_ns: expected a whole number'],
    ['a time beyond 2^53', line.replace('"end_ns":20', '"end_ns":9007199254740993'), 'end_ns: expected a whole number'],
    ['an end before the start', line.replace('"end_ns":20', '"end_ns":9'), 'it ends before it starts'],
  ])('refuses %s and names the line', (_name, broken, message) => {
    const read = () => parseHistory(`${line}\n\n${broken}\n`)
    expect(read).toThrow(HistoryFileError)
    expect(read).toThrow(`line 3: ${message}`)
  })
})

function arbitraryOperation(): fc.Arbitrary<Operation> {
  const seen = fc.option(fc.string())
  const value = fc.string()
  const call = fc.oneof(
    fc.record({ op: fc.constant('put' as const), value }),
    fc.record({ op: fc.constant('get' as const), result: seen }),
    fc.record({ op: fc.constant('delete' as const) }),
    fc.record({ op: fc.constant('delete' as const), result: fc.boolean() }),
    fc.record({ op: fc.constant('cas' as const), expect: seen, value, result: fc.boolean() }),
    fc.record({ op: fc.constant('cas' as const), expect: seen, value, result: fc.constant(false), found: seen }),
  )
  const client = fc.oneof(fc.nat(), fc.string())
  return fc
    .record({ client, key: fc.string(), call, invoke: fc.nat(), length: fc.nat() })
    .map(({ client, key, call, invoke, length }) => ({
      ...call,
      client,
      key,
      status: 'ok' as const,
      invoke,
      complete: invoke + length,
    }))
}
