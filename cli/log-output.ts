import { writeSync, write as writeThen } from 'node:fs'

const STANDARD_OUTPUT = 1
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** How soon a reader that stood still is looked at again. */
const AGAIN_MS = 100

export interface Dropped {
  readonly lines: number
  /** What the last of them met. */
  readonly why: string
}

/** Of node:fs, for tests. */
export interface Writing {
  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void
  writeSync(bytes: Buffer): number
}

const standardOutput: Writing = {
  write: (bytes, done) => writeThen(STANDARD_OUTPUT, bytes, done),
  writeSync: (bytes) => writeSync(STANDARD_OUTPUT, bytes),
}

/**
 * Lines for standard output, in order, written off the event loop. What nobody reads waits, up to a bound; what is above it, or
 * can't be written (a full disk), is dropped and counted: no log is worth a node that stands still.
 */
export class LogOutput {
  readonly #to: Writing
  readonly #onResumed: (dropped: Dropped) => void
  #waiting: Buffer[] = []
  /** Those being written included. */
  #bytes = 0
  #isWriting = false
  /** The reader stood still a moment ago. */
  #isStalled = false
  #dropped = 0
  #why = ''

  /** `onResumed`: something was written again after lines were dropped. */
  constructor(onResumed: (dropped: Dropped) => void, to: Writing = standardOutput) {
    this.#onResumed = onResumed
    this.#to = to
  }

  write(line: string): void {
    if (this.#take(line)) this.#writeOn()
  }

  /** Written before it returns, as far as that goes without waiting for a reader. */
  writeNow(line: string): void {
    if (this.#take(line)) this.flush()
  }

  /** Writes what waits before it returns, up to the first error. */
  flush(): void {
    while (this.#waiting.length > 0) {
      const bytes = this.#takeWaiting()
      try {
        this.#wrote(bytes, this.#to.writeSync(bytes))
      } catch (error) {
        this.#failed(bytes, error as NodeJS.ErrnoException)
        return
      }
    }
  }

  #take(line: string): boolean {
    const bytes = Buffer.from(line)
    if (this.#bytes + bytes.length > WAITING_BYTES_MAX) {
      this.#drop(bytes, 'nobody reads it')
      return false
    }
    this.#waiting.push(bytes)
    this.#bytes += bytes.length
    return true
  }

  #writeOn(): void {
    if (this.#isWriting || this.#isStalled || this.#waiting.length === 0) return
    this.#isWriting = true
    const bytes = this.#takeWaiting()
    this.#to.write(bytes, (error, written) => {
      this.#isWriting = false
      if (error === null) this.#wrote(bytes, written)
      else this.#failed(bytes, error)
      this.#writeOn()
    })
  }

  #takeWaiting(): Buffer {
    return Buffer.concat(this.#waiting.splice(0))
  }

  #wrote(bytes: Buffer, written: number): void {
    this.#bytes -= written
    if (written < bytes.length) this.#waiting.unshift(bytes.subarray(written))
    if (this.#dropped === 0) return
    const dropped = { lines: this.#dropped, why: this.#why }
    this.#dropped = 0
    this.#onResumed(dropped)
  }

  #failed(bytes: Buffer, error: NodeJS.ErrnoException): void {
    if (error.code !== 'EAGAIN') {
      this.#bytes -= bytes.length
      return this.#drop(bytes, error.message)
    }
    this.#waiting.unshift(bytes)
    if (this.#isStalled) return
    this.#isStalled = true
    const again = setTimeout(() => {
      this.#isStalled = false
      this.#writeOn()
    }, AGAIN_MS)
    again.unref()
  }

  #drop(bytes: Buffer, why: string): void {
    this.#dropped += bytes.toString('latin1').split('\n').length - 1
    this.#why = why
  }
}
