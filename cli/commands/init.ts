import { Command, Option } from 'commander'
import { storedKeyOf } from '../../src/client/index.js'
import { type ClusterOptions, deadlineOption, endpointOption, endpointsOf, integer, jsonOption } from '../arguments.js'
import type { Context } from '../context.js'
import { parseKey, splitKeyList } from '../keys.js'
import { writeJson, writeLine } from '../terminal.js'

const REPLICAS_MAX = 7
const INIT_DEADLINE_MS = 30_000

interface InitCommandOptions extends ClusterOptions {
  readonly replicas?: number
  readonly splitAt?: readonly string[]
}

export function initCommand(context: Context): Command {
  return new Command('init')
    .description('make one new cluster of started nodes that know each other by --join; once in its life')
    .addOption(
      new Option('--replicas <n>', 'copies of every range (default: 3, or as many as there are nodes)').argParser(
        integer({ min: 1, max: REPLICAS_MAX }),
      ),
    )
    .addOption(
      new Option('--split-at <key,…...>', 'begin with data ranges cut at these keys').argParser(
        (text: string, previous: readonly string[] = []) => [...previous, ...splitKeyList(text)],
      ),
    )
    .addOption(endpointOption())
    .addOption(deadlineOption(INIT_DEADLINE_MS))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Asks one node, the first that can be reached; it finds the others through the peer addresses it was started with.

Examples:
  holdfast init -e 127.0.0.1:7400
  holdfast init -e 10.0.0.1:7400 --replicas 3 --split-at g,n,t
  holdfast init --split-at '["user",5000]' --split-at '["user",9000]'`,
    )
    .action(async (options: InitCommandOptions) => {
      const born = await context.initCluster(endpointsOf(options, context.terminal.env), {
        ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
        ...(options.splitAt === undefined ? {} : { splitAt: options.splitAt.map((key) => storedKeyOf(parseKey(key))) }),
        deadlineMs: options.deadline,
      })
      if (options.json) await writeJson(context.terminal, born)
      else await writeLine(context.terminal, `cluster ${born.cluster} with ${born.nodes.length} nodes`)
    })
}
