import tab from '@bomb.sh/tab/commander'
import { Command } from 'commander'
import { benchCommand } from './commands/bench.js'
import { delCommand } from './commands/del.js'
import { devCommand } from './commands/dev.js'
import { exportCommand } from './commands/export.js'
import { getCommand } from './commands/get.js'
import { importCommand } from './commands/import.js'
import { initCommand } from './commands/init.js'
import { nodeCommand } from './commands/node-rejoin.js'
import { nodesCommand } from './commands/nodes.js'
import { putCommand } from './commands/put.js'
import { rangesCommand } from './commands/ranges.js'
import { scanCommand } from './commands/scan.js'
import { splitCommand } from './commands/split.js'
import { startCommand } from './commands/start.js'
import { statusCommand } from './commands/status.js'
import { transferCommand } from './commands/transfer.js'
import type { Context } from './context.js'
import { reportFailure } from './failure.js'
import { packageVersion } from './package-version.js'

const commands = [
  devCommand,
  startCommand,
  initCommand,
  statusCommand,
  nodesCommand,
  nodeCommand,
  rangesCommand,
  getCommand,
  putCommand,
  delCommand,
  scanCommand,
  splitCommand,
  transferCommand,
  importCommand,
  exportCommand,
  benchCommand,
]

/** Runs one command line (without node and script) and resolves to the exit code. Never rejects. */
export async function runCli(argv: readonly string[], context: Context): Promise<number> {
  try {
    await createProgram(context).parseAsync([...argv], { from: 'user' })
    return context.exitCode
  } catch (error) {
    return reportFailure(context.terminal, error, argv.includes('--json'))
  }
}

function createProgram(context: Context): Command {
  const program = new Command('holdfast')
    .description('A Raft-replicated, sharded, disk-durable key-value store')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.terminal.write(text),
      writeErr: (text) => context.terminal.note(text),
    })
    .showHelpAfterError('(--help shows what is expected, with examples)')
    .addHelpText(
      'after',
      `
Keys: a plain argument is a string; one that begins with [ is a tuple in JSON, as in '["user",7]'.

Exit codes: 0 done, 1 not found or a condition failed, 2 usage, 3 unavailable or past the deadline,
4 the outcome is unknown, 5 refused.`,
    )
  for (const create of commands) {
    const command = create(context)
    program.addCommand(command.copyInheritedSettings(program))
  }
  tab(program, { completionCommandName: 'completion' })
  return program
}
