import { Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { rangesTable } from '../status-tables.js'
import { writeJson } from '../terminal.js'

export function rangesCommand(context: Context): Command {
  return new Command('ranges')
    .description('list the ranges: span, leader, replicas')
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  holdfast ranges
  holdfast ranges --json`,
    )
    .action(async (options: ClusterOptions) => {
      const { terminal } = context
      const status = await withCluster(context, options, (db) => db.status())
      if (options.json) {
        await writeJson(terminal, status.ranges)
      } else {
        await terminal.write(rangesTable(status))
      }
    })
}
