import { Argument, Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, integer, jsonOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { writeJson, writeLine } from '../terminal.js'

const id = integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

export function transferCommand(context: Context): Command {
  return new Command('transfer')
    .description('hand the lead of a range on to another node that holds it, while it serves')
    .addArgument(new Argument('<range>', 'its id, as `holdfast ranges` shows it').argParser(id))
    .addArgument(new Argument('<node>', 'the id of the node that is to lead it').argParser(id))
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Done at once where the node leads the range already. A node that lags behind, or does not answer, is refused, and the old
leader leads on.

Examples:
  holdfast transfer 2 3`,
    )
    .action(async (range: number, to: number, options: ClusterOptions) => {
      await withCluster(context, options, (db) => db.transfer({ range, to }))
      if (options.json) await writeJson(context.terminal, { range, leader: to })
      else await writeLine(context.terminal, `range ${range} is led by node ${to}`)
    })
}
