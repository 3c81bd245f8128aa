// npm run powercut [-- --cycles N]
import { runCommand, Skip } from '../command.js'
import { noLoopDisks } from '../faults/loop-disk.js'
import { seeded } from '../register.js'
import { PowercutRun } from '../runs/powercut.js'

await runCommand(
  {
    name: 'powercut',
    about: 'Cuts the power of one node, of a majority, and of all nodes of a cluster of three, under load. Needs root.',
    settings: {
      cycles: { value: 20, min: 1, max: 1_000, about: 'cuts of each kind' },
      seed: { value: 1, min: 1, max: 2 ** 31, about: 'chooses victims and moments' },
      'image-mib': { value: 1_024, min: 256, max: 65_536, about: 'size of each disk' },
    },
    secondsMax: ({ cycles }) => 300 + cycles * 180,
  },
  async ({ cycles, seed, 'image-mib': mebibytes }, scope) => {
    const reason = await noLoopDisks()
    if (reason !== null) throw new Skip(reason)
    const violations: string[] = []
    for (const [victims, name] of [
      [1, 'one node'],
      [2, 'a majority'],
      [3, 'all nodes'],
    ] as const) {
      const run = await PowercutRun.begin({ scope, mebibytes, random: seeded(seed + victims) })
      for (let cycle = 1; cycle <= cycles; cycle++) await run.cycle(cycle, victims)
      await run.finish()
      console.log(`power cut of ${name}: ${run.describe()}`)
      violations.push(...run.violations.map((violation) => `${name}: ${violation}`))
    }
    return violations
  },
)
