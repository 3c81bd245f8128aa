import { Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { nodesTable } from '../status-tables.js'
import { writeJson } from '../terminal.js'

export function nodesCommand(context: Context): Command {
  return new Command('nodes')
    .description('list the nodes')
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  holdfast nodes
  holdfast nodes --json`,
    )
    .action(async (options: ClusterOptions) => {
      const { terminal } = context
      const status = await withCluster(context, options, (db) => db.status())
      if (options.json) {
        await writeJson(terminal, status.nodes)
      } else {
        await terminal.write(nodesTable(status))
      }
    })
}
