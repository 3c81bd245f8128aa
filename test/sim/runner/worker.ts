import type { Job } from './jobs.js'
import { runJob } from './run-job.js'

/** A process of its own that runs the seeds it is sent, one at a time. Ends with its parent. */
process.on('message', (job: Job) => {
  void runJob(job).then((outcome) => process.send!(outcome))
})
process.on('disconnect', () => process.exit(0))
