import type { ReplicaId } from '../../src/base/ids.js'
import type { Configuration } from '../../src/raft/types.js'

export const replica = (id: number) => id as ReplicaId

export const nobody: Configuration = { voters: [], outgoing: [], learners: [] }

export function voters(...ids: number[]): Configuration {
  return { ...nobody, voters: ids.map(replica) }
}

export function configuration(parts: { voters: number[]; outgoing?: number[]; learners?: number[] }): Configuration {
  const { voters, outgoing = [], learners = [] } = parts
  return { voters: voters.map(replica), outgoing: outgoing.map(replica), learners: learners.map(replica) }
}

/** Three lists of ids, each behind its length. */
export function encodeConfiguration({ voters, outgoing, learners }: Configuration): Uint8Array {
  return Uint8Array.from([voters, outgoing, learners].flatMap((ids) => [ids.length, ...ids]))
}

export function decodeConfiguration(payload: Uint8Array): Configuration {
  const numbers = [...payload]
  const list = () => numbers.splice(0, numbers.shift()).map(replica)
  return { voters: list(), outgoing: list(), learners: list() }
}
