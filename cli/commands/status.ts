import { Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { nodesTable, rangesTable, summary } from '../status-tables.js'
import { writeJson } from '../terminal.js'

export function statusCommand(context: Context): Command {
  return new Command('status')
    .description('show nodes, ranges and who leads them')
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  holdfast status
  holdfast status -e 10.0.0.1:7400,10.0.0.2:7400 --json`,
    )
    .action(async (options: ClusterOptions) => {
      const { terminal } = context
      const status = await withCluster(context, options, (db) => db.status())
      if (options.json) {
        await writeJson(terminal, status)
      } else {
        await terminal.write(`${summary(status)}\n\n${nodesTable(status)}\n${rangesTable(status)}`)
      }
    })
}
