import { register } from './register.js'
import type { Workload } from './types.js'

/** All that there are, in the order of `--list`. */
export const workloads: readonly Workload[] = [register]
