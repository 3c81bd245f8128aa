import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { assert } from '../base/assert.js'
import type { Counted, Metrics, Observed } from '../base/ports.js'

const PREFIX = 'holdfast_'

/** Doubling from `from`. */
function doubling(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from * 2 ** i)
}

/** 0.1 ms to 3.3 s. */
const SHORT_TIMES = doubling(0.0001, 16)

const histograms: Readonly<Record<Observed, { readonly help: string; readonly buckets: readonly number[] }>> = {
  turn_seconds: { help: 'Length of a turn of the loop that drives all replicas', buckets: SHORT_TIMES },
  event_loop_delay_seconds: { help: 'How late a timer of the process fires', buckets: SHORT_TIMES },
  log_sync_seconds: { help: 'Time of one write and fsync of the log', buckets: SHORT_TIMES },
  log_batch_bytes: { help: 'Bytes of one write of the log', buckets: doubling(4_096, 12) },
}

const counters: Readonly<Record<Counted, { readonly help: string; readonly labels: readonly string[] }>> = {
  requests_total: {
    help: 'Requests answered, by kind, and by code of the error catalogue or OK',
    labels: ['kind', 'code'],
  },
  snapshots_total: {
    help: 'Snapshots of replicas that came or went, by direction (in, out) and outcome (done, refused, failed)',
    labels: ['direction', 'outcome'],
  },
  snapshot_bytes_total: { help: 'Bytes of their chunks', labels: ['direction'] },
}

/** One value, or one per value of a label. */
export type Sample = number | Readonly<Record<string, number>>

export interface SampledGauge {
  readonly help: string
  /** Name of the label, where there is one. */
  readonly label?: string
  sample(): Sample
}

/** The figures of one node, in a registry of its own: several nodes may live in one process. */
export class NodeMetrics implements Metrics {
  readonly #registry = new Registry()
  readonly #histograms = new Map<Observed, Histogram>()
  /** By name and label words; given to prom-client only when somebody looks: its own counters cost a microsecond each time. */
  readonly #sums = new Map<Counted, Map<string, number>>()

  constructor() {
    const registers = [this.#registry]
    for (const name of Object.keys(histograms) as Observed[]) {
      const { help, buckets } = histograms[name]
      const histogram = new Histogram({ name: PREFIX + name, help, buckets: [...buckets], registers })
      this.#histograms.set(name, histogram)
    }
    for (const name of Object.keys(counters) as Counted[]) this.#addCounter(name)
  }

  observe(name: Observed, value: number): void {
    this.#histograms.get(name)!.observe(value)
  }

  count(name: Counted, by: number, label = ''): void {
    const sums = this.#sums.get(name)!
    sums.set(label, (sums.get(label) ?? 0) + by)
  }

  /** Asked whenever somebody looks. */
  addGauges(gauges: Readonly<Record<string, SampledGauge>>): void {
    for (const [name, { help, label, sample }] of Object.entries(gauges)) {
      new Gauge({
        name: PREFIX + name,
        help,
        labelNames: label === undefined ? [] : [label],
        registers: [this.#registry],
        collect() {
          const value = sample()
          if (typeof value === 'number') return this.set(value)
          assert(label !== undefined, 'a gauge of several values has a label', name)
          this.reset()
          for (const [key, each] of Object.entries(value)) this.set({ [label]: key }, each)
        },
      })
    }
  }

  /** A distribution whose label says what was measured; for what is rare. */
  addHistogram(options: { name: string; help: string; label: string }): (label: string, value: number) => void {
    const { name, help, label } = options
    const histogram = new Histogram({
      name: PREFIX + name,
      help,
      labelNames: [label],
      buckets: SHORT_TIMES,
      registers: [this.#registry],
    })
    return (of, value) => histogram.observe({ [label]: of }, value)
  }

  get names(): readonly string[] {
    return this.#registry.getMetricsAsArray().map(({ name }) => name)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** In the text format of Prometheus. */
  print(): Promise<string> {
    return this.#registry.metrics()
  }

  #addCounter(name: Counted): void {
    const sums = new Map<string, number>()
    this.#sums.set(name, sums)
    const { help, labels } = counters[name]
    new Counter({
      name: PREFIX + name,
      help,
      labelNames: [...labels],
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [words, sum] of sums) {
          const values = words.split(' ')
          this.inc(Object.fromEntries(labels.map((label, at) => [label, values[at] ?? ''])), sum)
        }
      },
    })
  }
}
