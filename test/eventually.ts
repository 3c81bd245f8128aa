/** Between two questions: a busy machine should be able to get on with what is waited for. */
const ASK_EVERY_MS = 20

/**
 * Asks until the answer is neither null nor false. Only for what is to be asked for and announced to nobody: a node's status and
 * readiness, another process being gone. What happens in this process is waited for by its own event (happenings.ts). The time between two
 * questions decides nothing: vitest's own bound ends it.
 */
export async function eventually<Value>(attempt: () => Promise<Value | null> | Value | null): Promise<Value> {
  for (;;) {
    const value = await attempt()
    if (value !== null && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
  }
}
