import type { Nemesis } from '../nemeses/types.js'
import type { Network } from '../network/types.js'

/** A nemesis that was asked for and can't be done here. */
export interface Skipped {
  readonly nemesis: string
  readonly why: string
}

/** Which nemeses can be done on this machine, with so many nodes, in one run; why not the others. The first that wants disks has its kind. */
export async function usableOf(
  nemeses: readonly Nemesis[],
  { nodes, network }: { nodes: number; network: Network },
): Promise<{ usable: readonly Nemesis[]; skipped: readonly Skipped[] }> {
  const usable: Nemesis[] = []
  const skipped: Skipped[] = []
  for (const nemesis of nemeses) {
    const why = lackOf(nemesis, { nodes, others: usable }) ?? (await nemesis.whyNot(network))
    if (why === null) usable.push(nemesis)
    else skipped.push({ nemesis: nemesis.name, why })
  }
  return { usable, skipped }
}

function lackOf(
  { disk, nodesMin = 3 }: Nemesis,
  { nodes, others }: { nodes: number; others: readonly Nemesis[] },
): string | null {
  if (nodes < nodesMin) return `it needs ${nodesMin} nodes`
  const other = disk === undefined ? undefined : others.find((each) => each.disk !== undefined && each.disk !== disk)
  return other === undefined ? null : `it needs other disks than ${other.name}`
}
