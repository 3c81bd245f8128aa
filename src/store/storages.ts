import type { Span } from '../base/descriptor.js'
import { intersection } from '../range/span.js'
import type { Checkpoint } from '../storage/types.js'

/** The part of a replica's storages that lies in `span`: a split gives each half its own, and moves no data. */
export function cutStorages(storages: Checkpoint['storages'], span: Span): Checkpoint['storages'] {
  return storages.flatMap(({ span: own, storage }) => {
    const both = intersection(own, span)
    return both === null ? [] : [{ storage, span: both }]
  })
}
