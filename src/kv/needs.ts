import { assertNever } from '../base/assert.js'
import type { Key } from '../base/ids.js'
import { counterKey, descriptorKey, nodeKey, tokenKey } from './meta.js'
import type { Command } from './types.js'

/** Keys whose latest record applying these commands may read, each once. A put without conditions needs none. */
export function keysNeeded(commands: readonly Command[]): readonly Key[] {
  const keys = new Set<Key>()
  for (const command of commands) addNeeds(command, keys)
  return [...keys]
}

function addNeeds(command: Command, keys: Set<Key>): void {
  switch (command.kind) {
    case 'write':
      for (const { key } of command.conditions) keys.add(key)
      for (const write of command.writes) if (write.kind === 'delete') keys.add(write.key)
      return
    case 'publish':
      for (const { span } of command.descriptors) keys.add(descriptorKey(span.end))
      for (const { node } of command.nodes) keys.add(nodeKey(node))
      keys.add(counterKey('range'))
      keys.add(counterKey('node'))
      return
    case 'allocate':
      keys.add(counterKey(command.counter))
      if (command.token !== null) keys.add(tokenKey(command.counter, command.token))
      return
    case 'split':
    case 'sessionFloor':
    case 'replicas':
    case 'collectionFloor':
    case 'digest':
      return
    default:
      assertNever(command)
  }
}
