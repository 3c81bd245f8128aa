import { Usage } from '../command.js'
import { allNemeses, groupsOf } from '../nemeses/index.js'
import type { Nemesis } from '../nemeses/types.js'
import { workloads } from '../workloads/index.js'
import type { Workload } from '../workloads/types.js'

/** What `register,set` means. */
export function findWorkloads(list: string): Workload[] {
  return namesOf(list).map((name) => {
    const found = workloads.find((workload) => workload.name === name)
    if (found !== undefined) return found
    throw new Usage(`there is no workload ${name}; there are: ${workloads.map((workload) => workload.name).join(', ')}`)
  })
}

/** What `kill,partition-ring` means: names of nemeses, or of groups of them. Fresh ones, for one run. */
export function findNemeses(list: string): Nemesis[] {
  const nemeses = allNemeses()
  const groups = groupsOf(nemeses)
  const found = new Set<Nemesis>()
  for (const name of namesOf(list)) {
    const meant = groups.get(name) ?? nemeses.filter((nemesis) => nemesis.name === name)
    if (meant.length === 0) {
      const close = nemeses.map((nemesis) => nemesis.name).filter((other) => other.startsWith(name.slice(0, 3)))
      const likely = close.length === 0 ? '' : `; did you mean ${close.join(', ')}?`
      throw new Usage(
        `there is no nemesis ${name}${likely}; --list names all, groups are ${[...groups.keys()].join(', ')}`,
      )
    }
    for (const nemesis of meant) found.add(nemesis)
  }
  return [...found]
}

function namesOf(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** What `--list` prints. */
export function listing(): string {
  const rows = (title: string, items: readonly { name: string; about: string }[]): string =>
    [title, ...items.map(({ name, about }) => `  ${name.padEnd(22)} ${about}`)].join('\n')
  const nemeses = allNemeses()
  const groups = [...groupsOf(nemeses)].map(([name, members]) => {
    return { name, about: name === 'all' ? `all ${members.length}` : `the ${members.length} that begin with ${name}-` }
  })
  return [rows('workloads', workloads), rows('nemeses', nemeses), rows('groups of nemeses', groups)].join('\n\n')
}
