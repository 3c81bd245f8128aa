import { Argument, Command, Option } from 'commander'
import { HoldfastError } from '../../src/base/errors.js'
import { address, integer, jsonOption } from '../arguments.js'
import type { Context } from '../context.js'
import { writeJson, writeLine } from '../terminal.js'

interface RejoinFlags {
  readonly data: string
  readonly node?: number
  readonly join?: string
  readonly json?: true
}

export function nodeCommand(context: Context): Command {
  return new Command('node')
    .description('bring a node back that other nodes keep out, or whose disk was lost')
    .addArgument(new Argument('<what>', 'what to do with it').choices(['rejoin']))
    .addOption(new Option('--data <folder>', 'its data').makeOptionMandatory())
    .addOption(
      new Option('--node <id>', 'which node it was, if its data does not say').argParser(
        integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      ),
    )
    .addOption(new Option('--join <host:port>', 'with --node: the peer address of a node that runs').argParser(address))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
A disk that was rolled back to an older copy, swapped, damaged or lost may have forgotten what the node promised to others. The
node must not run. What it holds is put aside within its data, and when it is started again, as before, the ranges give it new
replicas. Nothing is deleted: once the cluster is well, the folders aside-<n> may be.

Examples:
  holdfast node rejoin --data /var/lib/holdfast
  holdfast node rejoin --data /var/lib/holdfast --node 2 --join 10.0.0.1:7500`,
    )
    .action(async (_what: string, flags: RejoinFlags) => {
      const { rejoinNode } = await import('../../src/server/index.js')
      const { node, cluster, aside } = await rejoinNode({ dataDirectory: flags.data, ...fromOf(flags) })
      if (flags.json) return writeJson(context.terminal, { node, cluster, aside })
      const held = aside === null ? 'it held nothing' : `what it held lies in ${aside} of its data`
      await writeLine(context.terminal, `node ${node} of cluster ${cluster} is ready to be started again; ${held}`)
    })
}

function fromOf({ node, join }: RejoinFlags): { from?: { node: number; join: string } } {
  if (node !== undefined && join !== undefined) return { from: { node, join } }
  if (node === undefined && join === undefined) return {}
  throw new HoldfastError('INVALID_ARGUMENT', '--node and --join go together')
}
