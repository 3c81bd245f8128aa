import { expect } from 'vitest'

// Loaded before all tests. Vitest compares arrays of bytes element by element, each as if it could be anything: a hundred times slower.
expect.addEqualityTesters([
  (a: unknown, b: unknown): boolean | undefined => {
    if (!(a instanceof Uint8Array && b instanceof Uint8Array) || a.constructor !== b.constructor) return undefined
    return Buffer.compare(a, b) === 0
  },
])
