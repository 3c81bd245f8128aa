/** An embeddable node: `import { startNode } from 'holdfast/server'`. */
export { HoldfastError } from '../base/errors.js'
export type { Fatal, Logger, LogLevel } from '../base/ports.js'
export { type Rejoined, type RejoinOptions, rejoinNode } from './rejoin.js'
export { type NodeOptions, type RunningNode, startNode } from './start.js'
