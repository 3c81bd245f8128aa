import type { Operation } from '../../src/testing/index.js'
import type { Finding } from '../workloads/types.js'
import type { FaultLine } from './storm.js'
import { SCRIPT, STYLE } from './timeline-page.js'

export interface Timeline {
  readonly title: string
  readonly operations: readonly Operation[]
  readonly faults: readonly FaultLine[]
  readonly findings: readonly Finding[]
}

/** Beyond this a browser no longer likes the page: then what lies far from every finding is left out. */
const OPERATIONS_MAX = 60_000
/** What happened so long before and after an offending operation stays. */
const AROUND_NS = 2e9

/** A page that needs nothing else: who did what when, under which faults, and what should not have been, in red. */
export function timelineHtml({ title, operations, faults, findings }: Timeline): string {
  const offending = new Set(findings.flatMap((finding) => finding.operations))
  const shown = chosen(operations, offending)
  const rows = shown.map((at) => {
    const { client, key, status, invoke, complete } = operations[at]!
    return [at, String(client), describe(operations[at]!), key, status, invoke, complete, offending.has(at) ? 1 : 0]
  })
  const data = {
    rows,
    faults: faults.map(({ nemesis, what, start_ns, end_ns }) => [`${nemesis}: ${what}`, start_ns, end_ns]),
    findings: findings.map(({ what, operations: places }) => ({ what, places })),
    left: operations.length - shown.length,
  }
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escaped(title)}</title>
<style>${STYLE}</style>
<h1>${escaped(title)}</h1>
<div id="findings"></div>
<p><input id="filter" placeholder="only keys that contain …"> wheel: zoom, drag: move, double click: all of it, point: details <span id="left"></span></p>
<div id="details"></div>
<canvas id="canvas"></canvas>
<script>const data = ${JSON.stringify(data).replaceAll('<', '\\u003c')}
${SCRIPT}</script>
</html>
`
}

/** Places in the history, in order of the beginnings. */
function chosen(operations: readonly Operation[], offending: ReadonlySet<number>): number[] {
  const all = operations.map((_, at) => at).sort((a, b) => operations[a]!.invoke - operations[b]!.invoke)
  if (all.length <= OPERATIONS_MAX) return all
  const marks = [...offending].map((at) => operations[at]!)
  const isNear = ({ invoke, complete }: Operation): boolean =>
    marks.some((mark) => complete > mark.invoke - AROUND_NS && invoke < mark.complete + AROUND_NS)
  const near = marks.length === 0 ? all : all.filter((at) => offending.has(at) || isNear(operations[at]!))
  const rest = near.slice(0, OPERATIONS_MAX)
  const cut = near.slice(OPERATIONS_MAX).filter((at) => offending.has(at))
  return [...rest, ...cut]
}

function describe(operation: Operation): string {
  const { status } = operation
  switch (operation.op) {
    case 'put':
      return `put ${operation.value}`
    case 'get':
      return `get -> ${status === 'ok' ? operation.result : status}`
    case 'delete':
      return `delete -> ${status === 'ok' ? operation.result : status}`
    case 'cas': {
      const found = operation.found === undefined ? '' : ` (found ${operation.found})`
      return `cas ${operation.expect} to ${operation.value} -> ${status === 'ok' ? operation.result : status}${found}`
    }
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
