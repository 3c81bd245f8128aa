/** A small generator of our own: the same seed gives the same choices on every machine. From 0 to 1, without 1. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  // Neighbouring seeds begin alike.
  for (let at = 0; at < 8; at++) next()
  return next
}

export function between(random: () => number, { from, to }: { from: number; to: number }): number {
  return from + random() * (to - from)
}

export function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]!
}

export function shuffled<T>(random: () => number, list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}
