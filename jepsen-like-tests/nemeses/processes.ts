import { messageOf } from '../command.js'
import { eventually, type NodeProcess } from '../processes.js'
import { choose, named, processesOf, type Target, targets } from './targets.js'
import type { Battlefield, Nemesis, Strike } from './types.js'

const READY_WITHIN_MS = 60_000

const whom: Readonly<Record<Target, string>> = {
  one: 'one node',
  leader: 'the node that leads most ranges',
  minority: 'as many nodes as may be missing',
  majority: 'a majority',
  all: 'all nodes',
}

function onTargets(
  verb: string,
  about: string,
  act: (nodes: readonly NodeProcess[]) => Promise<() => Promise<void>>,
): Nemesis[] {
  return targets.map((target) => ({
    name: `${verb}-${target}`,
    about: `${about} ${whom[target]}`,
    family: 'processes',
    whyNot: async () => null,
    strike: async (field): Promise<Strike | null> => {
      const chosen = await choose(field, target)
      // One that is down by itself is not hit.
      const numbers = chosen?.filter((number) => processesOf(field, [number])[0]!.isUp) ?? []
      if (numbers.length === 0) return null
      const heal = await act(processesOf(field, numbers))
      return { what: `${verb} ${named(numbers)} (${target})`, heal }
    },
  }))
}

const kill = onTargets('kill', 'kill -9 of', async (nodes) => {
  await Promise.all(nodes.map((node) => node.end('SIGKILL')))
  return async () => {
    for (const node of nodes) if (!node.isUp) node.start()
  }
})

/** What a suspended virtual machine or a long collection of garbage looks like to the others. */
const pause = onTargets('pause', 'SIGSTOP, later SIGCONT, of', async (nodes) => {
  for (const node of nodes) if (node.isUp) node.signal('SIGSTOP')
  return async () => {
    for (const node of nodes) if (node.isUp) node.signal('SIGCONT')
  }
})

/** A node that is told to stop hands its leaderships over first. */
const stopLeader: Nemesis = {
  name: 'stop-leader',
  about: 'the busiest leader is told to stop, hands its ranges over to others, and is started again',
  family: 'processes',
  whyNot: async () => null,
  strike: async (field) => {
    const numbers = await choose(field, 'leader')
    if (numbers === null) return null
    const [node] = processesOf(field, numbers) as [NodeProcess]
    if (!node.isUp) return null
    await node.end('SIGTERM')
    return {
      what: `SIGTERM of ${named(numbers)} (leader), which hands over`,
      heal: async () => {
        if (!node.isUp) node.start()
      },
    }
  },
}

const rollingRestart: Nemesis = {
  name: 'rolling-restart',
  about: 'every node in turn is told to stop, started again, and waited for until it says that it is ready',
  family: 'processes',
  whyNot: async () => null,
  strike: async (field) => {
    const going = restartAll(field)
    // Looked at in heal; a failure before that must not count as unhandled.
    going.catch(() => {})
    return { what: 'SIGTERM and start of each node in turn', heal: () => going }
  },
}

async function restartAll({ cluster }: Battlefield): Promise<void> {
  for (const [at, node] of cluster.nodes.entries()) {
    await node.end('SIGTERM')
    node.start()
    try {
      await eventually('/readyz', READY_WITHIN_MS, async () => {
        // As a supervisor does: another fault may have ended it.
        if (!node.isUp) node.start()
        return (await node.isReady()) ? true : null
      })
    } catch (error) {
      throw new Error(`node ${at + 1} after its restart: ${messageOf(error)}`)
    }
  }
}

/** Crashes, stops and restarts of processes. */
export const processNemeses: readonly Nemesis[] = [...kill, ...pause, stopLeader, rollingRestart]
