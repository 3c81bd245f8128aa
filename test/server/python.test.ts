import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { protoFolder } from '../../src/transport/proto-files.js'
import { root } from '../house/project.js'
import { isComplete } from '../volume.js'
import { Bench } from './support.js'

const bench = new Bench()
afterEach(() => bench.clear())

const python = [process.env.HOLDFAST_PYTHON, 'python3', '/usr/bin/python3'].find(
  (candidate) => candidate && spawnSync(candidate, ['-c', 'import grpc, google.protobuf']).status === 0,
)
const plugin = ['/usr/bin/grpc_python_plugin', '/usr/local/bin/grpc_python_plugin'].find((path) => existsSync(path))
const canRun = python !== undefined && plugin !== undefined && spawnSync('protoc', ['--version']).status === 0

/** Resolves with standard output; rejects with what the program complained about. */
async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${err}`)
  return out
}

test.skipIf(!canRun && !isComplete)(
  'a Python program with stubs made from proto/ is served by any node (needs python3-grpcio, protobuf-compiler, protobuf-compiler-grpc)',
  async () => {
    expect({ python, plugin, canRun }).toMatchObject({ canRun: true })
    const nodes = await bench.cluster(3)
    const stubs = await bench.folder()
    const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`, `--plugin=protoc-gen-grpc_python=${plugin}`]
    await run('protoc', [`-I${protoFolder}`, ...outputs, join(protoFolder, 'holdfast', 'v1', 'holdfast.proto')])
    for (const [i, node] of nodes.entries()) {
      const client = join(root, 'test', 'server', 'python', 'client.py')
      expect(await run(python!, [client, stubs, node.client, `python-${i}`])).toBe('OK\n')
    }
  },
)
