#!/usr/bin/env node
import { connect, initCluster } from '../src/client/index.js'
import { runCli } from './program.js'
import { processTerminal } from './terminal.js'

process.exitCode = await runCli(process.argv.slice(2), {
  terminal: processTerminal(),
  connect,
  initCluster,
  exitCode: 0,
})
