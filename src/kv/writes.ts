import { assertNever } from '../base/assert.js'
import type { Descriptor } from '../base/descriptor.js'
import type { Key } from '../base/ids.js'
import { META_RANGE, NO_VERSION } from '../base/ids.js'
import { limits } from '../base/limits.js'
import { contains } from '../base/span.js'
import type { Draft, Present } from './draft.js'
import type { Condition, FailedCondition, Outcome, WriteCommand } from './types.js'

/** Every condition holds, or nothing is written: puts, deletes and batches alike. */
export function applyWrite(command: WriteCommand, descriptor: Descriptor, draft: Draft): Outcome {
  if (command.generation !== descriptor.generation || !liesIn(command, descriptor)) return { kind: 'rangeMoved' }
  if (descriptor.range === META_RANGE) {
    return { kind: 'invalid', reason: 'the meta range is written by publishing and allocating only' }
  }
  if (hasDuplicate(command.writes)) return { kind: 'invalid', reason: 'a key stands twice among the writes' }
  const failed = failedConditions(command, draft)
  if (failed.length > 0) return { kind: 'conditionFailed', version: command.version, failed }
  return { kind: 'written', version: command.version, deleted: write(command, draft) }
}

function liesIn(command: WriteCommand, descriptor: Descriptor): boolean {
  for (const { key } of command.writes) if (!contains(descriptor.span, key)) return false
  for (const { key } of command.conditions) if (!contains(descriptor.span, key)) return false
  return true
}

/** A record is written once per key and version, and a command has one version. */
function hasDuplicate(writes: readonly { readonly key: Key }[]): boolean {
  return writes.length > 1 && new Set(writes.map(({ key }) => key)).size < writes.length
}

/**
 * All that do not hold, with what is there instead. Values are sent back up to the size that one value may have, and to a bound for all
 * outcomes of the entry; of the rest only the version.
 */
function failedConditions(command: WriteCommand, draft: Draft): readonly FailedCondition[] {
  const failed: FailedCondition[] = []
  let bytesLeft = command.wantValue ? Math.min(limits.valueBytesMax, draft.returnableBytes) : -1
  for (const condition of command.conditions) {
    const present = draft.present(condition.key)
    if (holds(condition, present)) continue
    const { key } = condition
    if (present === null) {
      failed.push({ key, version: NO_VERSION, value: null, codec: 'bytes' })
      continue
    }
    const fits = present.value.length <= bytesLeft
    if (fits) {
      bytesLeft -= present.value.length
      draft.returnableBytes -= present.value.length
    }
    // Copied: the answer may wait for its client, and must not keep the buffer that the value came in.
    const value = fits ? new Uint8Array(present.value) : null
    failed.push({ key, version: present.version, value, codec: present.codec })
  }
  return failed
}

function holds(condition: Condition, present: Present | null): boolean {
  switch (condition.kind) {
    case 'version':
      return (present?.version ?? NO_VERSION) === condition.version
    case 'absent':
      return present === null
    case 'value':
      return present !== null && present.codec === condition.codec && areEqual(present.value, condition.value)
    default:
      return assertNever(condition)
  }
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false
  return true
}

/** Returns per delete whether something was there. */
function write(command: WriteCommand, draft: Draft): readonly boolean[] {
  const deleted: boolean[] = []
  for (const write of command.writes) {
    if (write.kind === 'put') draft.put(write.key, command.version, write.codec, write.value)
    else deleted.push(draft.delete(write.key, command.version))
  }
  return deleted
}
