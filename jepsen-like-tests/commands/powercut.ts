// npm run powercut [-- --one N --majority N --all N]
import { runCommand, Skip } from '../command.js'
import { noLoopDisks } from '../faults/loop-disk.js'
import { seeded } from '../random.js'
import { PowercutRun } from '../runs/powercut.js'

await runCommand(
  {
    name: 'powercut',
    about: 'Cuts the power of one node, of a majority, and of all nodes of a cluster of three, under load. Needs root.',
    settings: {
      one: { value: 20, min: 0, max: 1_000, about: 'cuts of one node' },
      majority: { value: 20, min: 0, max: 1_000, about: 'cuts of two of the three nodes at once' },
      all: { value: 20, min: 0, max: 1_000, about: 'cuts of all nodes at once' },
      seed: { value: 1, min: 1, max: 2 ** 31, about: 'chooses victims and moments' },
      'image-mib': { value: 1_024, min: 256, max: 65_536, about: 'size of each disk' },
    },
    secondsMax: ({ one, majority, all }) => 300 + (one + majority + all) * 180,
  },
  async ({ one, majority, all, seed, 'image-mib': mebibytes }, scope) => {
    const reason = await noLoopDisks()
    if (reason !== null) throw new Skip(reason)
    const violations: string[] = []
    const kinds = [
      { name: 'one node', victims: 1, cycles: one },
      { name: 'a majority', victims: 2, cycles: majority },
      { name: 'all nodes', victims: 3, cycles: all },
    ]
    for (const { name, victims, cycles } of kinds) {
      if (cycles === 0) continue
      const run = await PowercutRun.begin({ scope, mebibytes, random: seeded(seed + victims) })
      for (let cycle = 1; cycle <= cycles; cycle++) {
        await run.cycle(cycle, victims)
        if (cycle % 5 === 0 && cycle < cycles) console.log(`power cut of ${name}: ${cycle} of ${cycles} cycles`)
      }
      await run.finish()
      console.log(`power cut of ${name}: ${run.describe()}`)
      violations.push(...run.violations.map((violation) => `${name}: ${violation}`))
    }
    return violations
  },
)
