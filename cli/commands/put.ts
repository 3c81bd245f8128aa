import { Argument, Command, Option } from 'commander'
import { type ClusterOptions, deadlineOption, endpointOption, integer, jsonOption, rawOption } from '../arguments.js'
import { type Context, withCluster } from '../context.js'
import { parseKey } from '../keys.js'
import { type Terminal, writeJson, writeLine } from '../terminal.js'
import { codecOption, parseValue, type ValueCodec } from '../values.js'

interface PutOptions extends ClusterOptions {
  readonly raw?: true
  readonly codec: ValueCodec
  readonly ifVersion?: number
  readonly ifAbsent?: true
}

export function putCommand(context: Context): Command {
  return new Command('put')
    .description('write a value under a key')
    .addArgument(new Argument('<key>', 'the key'))
    .addArgument(new Argument('<value>', 'the value, or - to read it from standard input'))
    .addOption(codecOption('utf8'))
    .addOption(
      new Option('--if-version <n>', 'only if the key has this version (0: only if absent)')
        .argParser(integer({ min: 0, max: Number.MAX_SAFE_INTEGER }))
        .conflicts('ifAbsent'),
    )
    .addOption(new Option('--if-absent', 'only if the key does not exist'))
    .addOption(rawOption())
    .addOption(endpointOption())
    .addOption(deadlineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Prints the version that was written. A failed condition changes nothing and ends with 1.

Examples:
  holdfast put greeting hello
  holdfast put '["user",7]' '{"name":"Ada"}' --codec json
  holdfast put greeting hi --if-absent
  gzip -c notes.txt | holdfast put notes - --codec bytes`,
    )
    .action(async (keyText: string, valueText: string, options: PutOptions) => {
      const key = parseKey(keyText, options)
      const value =
        valueText === '-' ? await valueFromInput(context.terminal, options.codec) : parseValue(valueText, options.codec)
      const { version } = await withCluster(context, options, (db) =>
        db.put(key, value, {
          codec: options.codec,
          ...(options.ifVersion === undefined ? {} : { ifVersion: options.ifVersion }),
          ...(options.ifAbsent === undefined ? {} : { ifAbsent: options.ifAbsent }),
        }),
      )
      if (options.json) await writeJson(context.terminal, { version })
      else await writeLine(context.terminal, String(version))
    })
}

async function valueFromInput(terminal: Terminal, codec: ValueCodec): Promise<unknown> {
  const chunks: Uint8Array[] = []
  for await (const chunk of terminal.input) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  return codec === 'bytes' ? new Uint8Array(bytes) : parseValue(bytes.toString('utf8'), codec)
}
