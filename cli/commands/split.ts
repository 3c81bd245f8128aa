import { Argument, Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, jsonOption, rawOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { parseKey } from '../keys.js'
import { writeJson, writeLine } from '../terminal.js'

export function splitCommand(context: Context): Command {
  return new Command('split')
    .description('cut a range in two at a key, while it serves')
    .addArgument(new Argument('<key>', 'the first key of the new range'))
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  holdfast split m
  holdfast split '["user",5000]'`,
    )
    .action(async (text: string, options: ClusterOptions & { raw?: true }) => {
      const key = parseKey(text, options)
      const { range } = await withCluster(context, options, (db) => db.split(key))
      if (options.json) await writeJson(context.terminal, { range })
      else await writeLine(context.terminal, `range ${range} now begins at ${text}`)
    })
}
