import { Argument, Command } from 'commander'
import {
  type ClusterOptions,
  consistencyOption,
  deadlineOption,
  endpointOption,
  jsonOption,
  maxStaleOption,
  type ReadCommandOptions,
  rawOption,
} from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { EXIT_NOT_FOUND } from '../failure.js'
import { parseKey } from '../keys.js'
import { writeJson, writeLine } from '../terminal.js'
import { entryToJson, showValue } from '../values.js'

export function getCommand(context: Context): Command {
  return new Command('get')
    .description("read a key's newest value")
    .addArgument(new Argument('<key>', 'the key'))
    .addOption(consistencyOption())
    .addOption(maxStaleOption())
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
What a read promises:
  linearizable  sees every write acknowledged before it began
  leaderLease   the same while no clock runs a fifth too fast or slow; one round trip between nodes less
  follower      any replica answers, with everything this client has seen
  stale         any replica answers, with a picture at most --max-stale-ms old

Examples:
  holdfast get greeting
  holdfast get greeting --consistency stale --max-stale-ms 1000
  holdfast get '["user",7]' --json`,
    )
    .action(async (text: string, options: ClusterOptions & ReadCommandOptions & { raw?: true }) => {
      const key = parseKey(text, options)
      const entry = await withCluster(context, options, (db) => db.getEntry(key, options))
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
