import { append } from './append.js'
import { batch } from './batch.js'
import { counter } from './counter.js'
import { longRead } from './long-read.js'
import { register } from './register.js'
import { scan } from './scan.js'
import { set } from './set.js'
import type { Workload } from './types.js'

/** All that there are, in the order of `--list`. */
export const workloads: readonly Workload[] = [register, set, append, counter, scan, longRead, batch]
