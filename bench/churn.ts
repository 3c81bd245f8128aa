import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { churn } from './lib/churn.js'
import { overwrite } from './lib/churn-overwrite.js'

const HELP = `Writes, deletes, collects and reads a state database over and over, beside a model; exit 1 if a key differs from it.

  --batches N     so many batches of one record (default 3000000)
  --keys N        over so many keys (default 10000)
  --overwrite     the control: the layout that this project does not use, values overwritten in place with snapshots open, straight on
                  LevelDB. It must lose keys (google/leveldb#320): exit 1 if it loses none
`

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '3000000' },
    keys: { type: 'string', default: '10000' },
    overwrite: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const [batches, keys] = [Number(values.batches), Number(values.keys)]
  if (!Number.isSafeInteger(batches) || batches < 1 || !Number.isSafeInteger(keys) || keys < 1) {
    process.stderr.write(HELP)
    return 2
  }
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-churn-'))
  try {
    const run = values.overwrite ? overwrite : churn
    const lost = await run({
      directory: join(directory, 'state'),
      batches,
      keys,
      writeBufferBytes: 4 * 1024 * 1024,
      checkEvery: 50_000,
      onCheck: (checked) =>
        console.log(
          `${checked.batches} batches, ${checked.collected} records deleted, ${checked.reads} reads: ${checked.lost} keys differ from the model`,
        ),
    })
    const isRight = values.overwrite ? lost > 0 : lost === 0
    console.log(`${isRight ? 'OK' : 'FAILED'}: ${lost} differences in ${batches} batches`)
    return isRight ? 0 : 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
