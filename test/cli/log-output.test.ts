import { describe, expect, it } from 'vitest'
import { type Dropped, LogOutput, type Writing } from '../../cli/log-output.js'

/** A standard output that does what the test says: takes so many bytes of what it is given, or fails. */
class Output implements Writing {
  text = ''
  next: (number | string)[] = []
  #pending: (() => void)[] = []

  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void {
    this.#pending.push(() => {
      try {
        done(null, this.writeSync(bytes))
      } catch (error) {
        done(error as NodeJS.ErrnoException, 0)
      }
    })
  }

  writeSync(bytes: Buffer): number {
    const next = this.next.shift() ?? bytes.length
    if (typeof next === 'string') throw Object.assign(new Error(next), { code: next })
    this.text += bytes.toString('utf8', 0, next)
    return Math.min(next, bytes.length)
  }

  /** Everything that is being written, and what follows of it. */
  settle(): void {
    for (let done = this.#pending.shift(); done !== undefined; done = this.#pending.shift()) done()
  }
}

function opened(...next: (number | string)[]) {
  const output = new Output()
  output.next = next
  const told: Dropped[] = []
  return { output, told, log: new LogOutput((dropped) => told.push(dropped), output) }
}

describe('the log on standard output', () => {
  it('comes in order, also where parts are taken only', () => {
    const { output, log } = opened(3, 2)
    for (const line of ['one\n', 'twö\n', 'three\n']) log.write(line)
    output.settle()
    expect(output.text).toBe('one\ntwö\nthree\n')
  })

  it('drops what a full disk does not take, and says how much once there is room', () => {
    const { output, told, log } = opened('ENOSPC', 'ENOSPC')
    log.write('one\n')
    log.write('two\n')
    log.write('three\n')
    output.settle()
    expect([output.text, told]).toEqual(['', []])
    log.write('four\n')
    output.settle()
    log.write('five\n')
    output.settle()
    expect([output.text, told]).toEqual(['four\nfive\n', [{ lines: 3, why: 'ENOSPC' }]])
  })

  it('gives up at the first error where it cannot wait, and returns', () => {
    const { output, log } = opened('ENOSPC', 'ENOSPC')
    log.writeNow('one\n')
    log.writeNow('two\n')
    log.flush()
    log.writeNow('three\n')
    expect(output.text).toBe('three\n')
  })

  it('keeps what a reader does not take yet, up to a bound', () => {
    const { output, told, log } = opened('EAGAIN')
    const line = `${'x'.repeat(1024 * 1024 - 1)}\n`
    log.writeNow('first\n')
    for (let i = 0; i < 5; i++) log.write(line)
    log.flush()
    output.settle()
    expect(output.text).toBe(`first\n${line.repeat(3)}`)
    expect(told).toEqual([{ lines: 2, why: 'nobody reads it' }])
  })
})
