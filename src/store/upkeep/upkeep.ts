/** Something done every now and then, where there is anything to do. */
export interface Job {
  readonly everyTicks: number
  /** Asked before a turn is taken for it. Default: there always is. */
  isWaiting?(): boolean
  run(): void
}

/** The node's slow work, each job at its own pace. */
export class Upkeep {
  readonly #jobs: readonly Job[]

  constructor(jobs: readonly Job[]) {
    this.#jobs = jobs
  }

  isDue(tick: number): boolean {
    return this.#jobs.some((job) => isDue(job, tick))
  }

  run(tick: number): void {
    for (const job of this.#jobs) if (isDue(job, tick)) job.run()
  }
}

function isDue({ everyTicks, isWaiting }: Job, tick: number): boolean {
  return tick % everyTicks === 0 && (isWaiting === undefined || isWaiting())
}
