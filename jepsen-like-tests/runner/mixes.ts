import type { Bars } from './bars.js'

/** What one run of `--ci` is made of, in the words of the command line. */
export interface Mix {
  readonly workload: string
  readonly nemesis: string
  readonly nodes: number
}

/** Each kind of nemesis and of workload comes at least once. The register's history is the one that must prove enough. */
export const ciMixes: readonly Mix[] = [
  { workload: 'register,set', nemesis: 'kill,powercut,torn,split,transfer', nodes: 3 },
  { workload: 'register,append', nemesis: 'pause,slow-node,stop-leader,transfer', nodes: 3 },
  { workload: 'register,counter', nemesis: 'replies,delay,kill-leader,clock,eio', nodes: 3 },
  { workload: 'register,scan', nemesis: 'partition,loss', nodes: 3 },
  {
    workload: 'register,batch',
    nemesis: 'partition-ring,partition-bridge,pause-minority,kill-minority,split',
    nodes: 5,
  },
  { workload: 'register,long-read', nemesis: 'rolling-restart,disk', nodes: 3 },
]

export const ciBars: Bars = {
  faultSeconds: 30,
  ok: 3_000,
  keys: 10,
  okPerKey: 200,
  readShare: 0.5,
  unknownShare: 0.05,
  secondsMax: 120,
}

/** What a machine that runs everything may still lack, by nemesis, and why that is no failure there. */
export const skipsAllowed: ReadonlySet<string> = new Set()

/** Longer than those of CI: what takes minutes to come about has its chance. */
export const soakBars: Bars = { ...ciBars, faultSeconds: 60, secondsMax: 240 }
