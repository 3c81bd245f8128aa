import { setFlagsFromString } from 'node:v8'

/**
 * For programs that simulate for seconds and end: V8 optimises a function only after several times more work than usual, and inlines
 * less. With the defaults a process's first simulated minute goes, to almost a half, to compiling functions that are hardly used
 * again (about 500 of them, 3 to 4 ms each). Affects the whole process, so only a program's entry calls it.
 */
export function tuneForBatchRun(): void {
  setFlagsFromString('--interrupt-budget=300000')
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=200')
}
