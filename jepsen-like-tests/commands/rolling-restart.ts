// npm run rolling-restart [-- --rounds N]
import Table from 'cli-table3'
import { runCommand } from '../command.js'
import { RollingRestart } from '../runs/rolling-restart.js'

await runCommand(
  {
    name: 'rolling-restart',
    about:
      'Restarts each of three nodes in order (SIGTERM) under load: no call may fail, none may take longer than the bar.',
    settings: {
      rounds: { value: 3, min: 1, max: 1_000, about: 'restarts of every node' },
      callers: { value: 64, min: 1, max: 4_096, about: 'calls at once, half of them reads' },
      'think-ms': { value: 5, min: 0, max: 10_000, about: 'a caller waits so long between two calls' },
      'bar-ms': { value: 500, min: 1, max: 60_000, about: 'longest time a call may take' },
    },
    secondsMax: ({ rounds }) => 120 + rounds * 180,
  },
  async ({ rounds, callers, 'think-ms': thinkMs, 'bar-ms': barMs }, scope) => {
    const run = await RollingRestart.begin({ scope, callers, thinkMs })
    for (let round = 1; round <= rounds; round++) await run.round()
    await run.finish()
    const table = new Table({
      style: { head: [], border: [] },
      head: ['node', 'led', 'stop ms', 'to ready ms', 'calls', 'slowest call ms', 'longest pause ms'],
    })
    for (const { node, leaders, stopMs, startMs, calls, slowestMs, longestPauseMs } of run.restarts)
      table.push([node, leaders, stopMs, startMs, calls, slowestMs, longestPauseMs])
    console.log(table.toString())
    const longest = Math.max(...run.restarts.map(({ longestPauseMs }) => longestPauseMs))
    console.log(
      `${run.restarts.length} restarts under ${callers} callers: ${run.calls} calls, ${run.failed} failed, ` +
        `slowest ${Math.round(run.slowestMs)} ms (bar ${barMs}), longest pause ${longest} ms`,
    )
    const violations = [...run.failures]
    if (run.slowestMs > barMs) violations.push(`a call took ${Math.round(run.slowestMs)} ms, the bar is ${barMs}`)
    return violations
  },
)
