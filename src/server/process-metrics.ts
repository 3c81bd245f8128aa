import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { anonymousBytes } from '../storage/memory.js'
import type { NodeMetrics } from './metrics.js'

const DELAY_EVERY_MS = 100

const collections: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak_callbacks',
}

/** An entry of type gc has it; the types of Node leave it out. */
type Collection = PerformanceEntry & { readonly detail: { readonly kind: number } }

/** Measures the process that the node runs in, until the returned function is called. */
export function watchProcess(metrics: NodeMetrics): () => void {
  const collected = metrics.addHistogram({
    name: 'gc_pause_seconds',
    help: 'Pauses for collections of memory by V8',
    label: 'kind',
  })
  const observer = new PerformanceObserver((list) => {
    for (const { duration, detail } of list.getEntries() as Collection[]) {
      collected(collections[detail.kind] ?? 'other', duration / 1_000)
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  let dueAt = performance.now() + DELAY_EVERY_MS
  const timer = setInterval(() => {
    const now = performance.now()
    metrics.observe('event_loop_delay_seconds', Math.max(0, now - dueAt) / 1_000)
    dueAt = now + DELAY_EVERY_MS
  }, DELAY_EVERY_MS)
  timer.unref()
  metrics.addGauges({
    memory_bytes: { help: 'Memory of the process, by kind', label: 'kind', sample: memory },
    cpu_seconds: { help: 'Processor time of the process since it started', sample: processorSeconds },
  })
  return () => {
    observer.disconnect()
    clearInterval(timer)
  }
}

function memory(): Record<string, number> {
  const { rss, heapTotal, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const anonymous = anonymousBytes()
  const known = { rss, heap_total: heapTotal, heap_used: heapUsed, external, array_buffers: arrayBuffers }
  return anonymous === null ? known : { ...known, anonymous }
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000_000
}
