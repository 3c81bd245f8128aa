import { Cgroup, noCgroup } from './cgroup.js'

const PERIOD_US = 100_000

/** Why processes can't be slowed down on this machine; null: they can. */
export function noSlowNodes(): Promise<string | null> {
  return noCgroup('cpu')
}

/** The process gets that share of one core, until the returned function is called. */
export async function slowNode({ pid, percent }: { pid: number; percent: number }): Promise<() => Promise<void>> {
  const group = await Cgroup.make('cpu', {
    'cpu.cfs_period_us': String(PERIOD_US),
    'cpu.cfs_quota_us': String((PERIOD_US * percent) / 100),
  })
  await group.take(pid)
  return () => group.remove()
}
