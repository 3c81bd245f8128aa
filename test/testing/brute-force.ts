import type { Operation } from '../../src/testing/linearizability.js'

/** The definition, word for word: some order of the operations (unknown ones in or out) respects real time and explains all. */
export function isExplainable(history: readonly Operation[]): boolean {
  const certain = history.filter((operation) => operation.status === 'ok')
  const unknown = history.filter((operation) => operation.status === 'info')
  for (let chosen = 0; chosen < 2 ** unknown.length; chosen++) {
    const taken = unknown.filter((_, at) => (chosen >> at) % 2 === 1)
    if (someOrder([...certain, ...taken], null)) return true
  }
  return false
}

function someOrder(left: readonly Operation[], state: string | null): boolean {
  if (left.length === 0) return true
  return left.some((first) => {
    const others = left.filter((operation) => operation !== first)
    if (others.some((other) => other.status === 'ok' && other.complete < first.invoke)) return false
    const next = effect(first, state)
    return next !== undefined && someOrder(others, next)
  })
}

function effect(operation: Operation, state: string | null): string | null | undefined {
  const known = operation.status === 'ok'
  switch (operation.op) {
    case 'put':
      return operation.value
    case 'get':
      return !known || operation.result === state ? state : undefined
    case 'delete':
      return !known || operation.result === undefined || operation.result === (state !== null) ? null : undefined
    case 'cas': {
      const holds = operation.expect === state
      if (!known) return holds ? operation.value : state
      if (operation.result !== holds) return undefined
      if (!holds && operation.found !== undefined && operation.found !== state) return undefined
      return holds ? operation.value : state
    }
  }
}
