/** Waits on a condition that has no event: until it is neither null nor false. Vitest's own bound ends it. */
export async function eventually<Value>(attempt: () => Promise<Value | null> | Value | null): Promise<Value> {
  for (;;) {
    const value = await attempt()
    if (value !== null && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
