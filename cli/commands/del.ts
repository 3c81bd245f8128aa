import { Argument, Command, Option } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, integer, jsonOption, rawOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { EXIT_NOT_FOUND } from '../failure.js'
import { parseKey } from '../keys.js'
import { writeJson, writeLine } from '../terminal.js'

export function delCommand(context: Context): Command {
  return new Command('del')
    .description('delete a key')
    .addArgument(new Argument('<key>', 'the key'))
    .addOption(
      new Option('--if-version <n>', 'only if the key has this version').argParser(
        integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      ),
    )
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Ends with 1 if there was nothing to delete, or if the key has another version.

Examples:
  holdfast del greeting
  holdfast del '["user",7]' --json`,
    )
    .action(async (text: string, options: ClusterOptions & { raw?: true; ifVersion?: number }) => {
      const key = parseKey(text, options)
      const condition = options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion }
      const result = await withCluster(context, options, (db) => db.delete(key, condition))
      if (!result.deleted) context.exitCode = EXIT_NOT_FOUND
      if (options.json) await writeJson(context.terminal, result)
      else if (result.deleted) await writeLine(context.terminal, 'deleted')
      else context.terminal.note(`not found: ${text}\n`)
    })
}
