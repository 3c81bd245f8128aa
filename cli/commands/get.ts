import { Argument, Command } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, jsonOption, rawOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { EXIT_NOT_FOUND } from '../failure.js'
import { parseKey } from '../keys.js'
import { writeJson, writeLine } from '../terminal.js'
import { entryToJson, showValue } from '../values.js'

export function getCommand(context: Context): Command {
  return new Command('get')
    .description("read a key's newest value")
    .addArgument(new Argument('<key>', 'the key'))
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  holdfast get greeting
  holdfast get '["user",7]' --json`,
    )
    .action(async (text: string, options: ClusterOptions & { raw?: true }) => {
      const key = parseKey(text, options)
      const entry = await withCluster(context, options, (db) => db.getEntry(key))
      if (entry === undefined) {
        context.exitCode = EXIT_NOT_FOUND
        if (options.json) await writeJson(context.terminal, null)
        else context.terminal.note(`not found: ${text}\n`)
      } else if (options.json) {
        await writeJson(context.terminal, entryToJson(entry))
      } else {
        await writeLine(context.terminal, showValue(entry))
      }
    })
}
