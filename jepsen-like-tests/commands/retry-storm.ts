// npm run retry-storm [-- --seconds N]
import { runCommand } from '../command.js'
import { seeded } from '../random.js'
import { RetryStorm } from '../runs/retry-storm.js'

await runCommand(
  {
    name: 'retry-storm',
    about:
      'Loses one reply message in five between nodes and clients, by cutting its connection after the node has answered and before the answer is delivered.',
    settings: {
      seconds: { value: 600, min: 1, max: 86_400, about: 'how long' },
      callers: { value: 64, min: 4, max: 1_024, about: 'calls at once' },
      percent: { value: 20, min: 1, max: 50, about: 'of reply messages that are lost' },
      seed: { value: 1, min: 1, max: 2 ** 31, about: 'chooses what is lost' },
    },
    secondsMax: ({ seconds }) => seconds + 180,
  },
  async ({ seconds, callers, percent, seed }, scope) => {
    const storm = await RetryStorm.begin({ scope, callers, percent, random: seeded(seed) })
    storm.start()
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    await storm.finish()
    console.log(`${seconds} s: ${storm.describe()}`)
    return storm.violations
  },
)
