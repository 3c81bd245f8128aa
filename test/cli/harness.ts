import type { Context, InitOptions } from '../../cli/context.js'
import { runCli } from '../../cli/program.js'
import type { ConnectOptions, Holdfast } from '../../src/client/index.js'
import { MemoryCluster } from './memory-cluster.js'

export interface Ran {
  readonly exit: number
  readonly out: string
  readonly err: string
  /** Standard output as JSON, one value per line. */
  readonly json: readonly unknown[]
}

/** Runs command lines in this process over a cluster that is a Map. */
export class Harness {
  readonly cluster = new MemoryCluster()
  readonly connected: ConnectOptions[] = []
  readonly inits: { readonly addresses: readonly string[]; readonly options: InitOptions }[] = []
  env: Record<string, string> = {}

  async run(argv: readonly string[], input: string | readonly Uint8Array[] = ''): Promise<Ran> {
    let out = ''
    let err = ''
    const context: Context = {
      terminal: {
        write: async (text) => {
          out += text
        },
        note: (text) => {
          err += text
        },
        outputIsTty: false,
        notesAreTty: false,
        env: this.env,
        input: chunksOf(input),
      },
      connect: async (options) => {
        this.connected.push(options)
        return this.cluster as unknown as Holdfast
      },
      initCluster: async (addresses, options) => {
        this.inits.push({ addresses, options })
        return { cluster: 'c0ffee', nodes: [{ node: 1, clientAddress: addresses[0]!, peerAddress: '127.0.0.1:7500' }] }
      },
      exitCode: 0,
    }
    const exit = await runCli(argv, context)
    return {
      exit,
      out,
      err,
      get json() {
        return out
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as unknown)
      },
    }
  }
}

async function* chunksOf(input: string | readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  if (typeof input === 'string') yield Buffer.from(input)
  else yield* input
}
