// One process of the `limit` system: the least that a replicated, durable write can cost on these libraries. A leader takes
// calls, writes records to its file and to two followers, and applies and answers what two of three have synced. No elections,
// no terms, no versions, no sessions, no recovery: a yardstick, not a store.
// Arguments: directory [followerPort followerPort]
import { fdatasync, mkdirSync, openSync, write } from 'node:fs'
import { join } from 'node:path'
import { type ClientDuplexStream, credentials, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { ClassicLevel } from 'classic-level'
import { loadLimitService } from './limit-proto.js'

interface Call {
  id: number
  key: Buffer
  value: Buffer
  read: boolean
}
interface Records {
  first: number
  records: Buffer[]
  committed: number
}
type ClientStream = ServerDuplexStream<{ calls: Call[] }, { answers: { id: number; value?: Buffer | undefined }[] }>
type PeerStream = ServerDuplexStream<Records, { through: number }>

const [directory, ...followerPorts] = process.argv.slice(2)
mkdirSync(directory!, { recursive: true })
const Service = loadLimitService()

/** Serialises asynchronous steps: what comes in while one runs goes together into the next. */
function grouped<T>(run: (items: T[], done: () => void) => void): (item: T) => void {
  let gathered: T[] = []
  let running = false
  const next = (): void => {
    running = gathered.length > 0
    if (!running) return
    const items = gathered
    gathered = []
    run(items, next)
  }
  return (item) => {
    gathered.push(item)
    if (!running) next()
  }
}

const file = openSync(join(directory!, 'records'), 'w')
const save = grouped<{ records: Buffer[]; saved: () => void }>((items, done) => {
  const bytes = Buffer.concat(items.flatMap(({ records }) => records))
  write(file, bytes, 0, bytes.length, null, () =>
    fdatasync(file, () => {
      for (const { saved } of items) saved()
      done()
    }),
  )
})

const db = new ClassicLevel<Buffer, Buffer>(join(directory!, 'state'), {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  writeBufferSize: 64 * 1024 * 1024,
})
await db.open()
const apply = grouped<{ records: Buffer[]; applied: () => void }>((items, done) => {
  const puts = items.flatMap(({ records }) => records).map(toPut)
  void db.batch(puts).then(() => {
    for (const { applied } of items) applied()
    done()
  })
})

function toRecord({ key, value }: Call): Buffer {
  const record = Buffer.allocUnsafe(2 + key.length + value.length)
  record.writeUInt16LE(key.length)
  record.set(key, 2)
  record.set(value, 2 + key.length)
  return record
}

function toPut(record: Buffer): { type: 'put'; key: Buffer; value: Buffer } {
  const valueAt = 2 + record.readUInt16LE()
  return { type: 'put', key: record.subarray(2, valueAt), value: record.subarray(valueAt) }
}

function replicate(stream: PeerStream): void {
  const kept = new Map<number, Buffer>()
  let applied = 0
  stream.on('data', ({ first, records, committed }: Records) => {
    for (const [at, record] of records.entries()) kept.set(first + at, record)
    if (records.length > 0) save({ records, saved: () => stream.write({ through: first + records.length - 1 }) })
    const ready: Buffer[] = []
    for (
      let record = kept.get(applied + 1);
      applied < committed && record !== undefined;
      record = kept.get(applied + 1)
    ) {
      kept.delete(++applied)
      ready.push(record)
    }
    if (ready.length > 0) apply({ records: ready, applied: () => {} })
  })
  stream.on('error', () => {})
}

function lead(): (stream: ClientStream) => void {
  let last = 0
  let committed = 0
  let gathered: { call: Call; from: ClientStream }[] = []
  const groups: { through: number; records: Buffer[]; calls: { call: Call; from: ClientStream }[] }[] = []
  const through = [0, 0, 0]
  const followers = followerPorts.map((port, at) => {
    const service = new Service(`127.0.0.1:${port}`, credentials.createInsecure())
    const stream = service.Replicate!() as unknown as ClientDuplexStream<Records, { through: number }>
    stream.on('data', (stored: { through: number }) => stored_(at + 1, stored.through))
    stream.on('error', () => {})
    return stream
  })
  const stored_ = (who: number, index: number): void => {
    through[who] = index
    committed = [...through].sort((a, b) => b - a)[1]!
    while (groups.length > 0 && groups[0]!.through <= committed) {
      const { records, calls } = groups.shift()!
      apply({ records, applied: () => answer(calls) })
    }
  }
  const answer = (calls: { call: Call; from: ClientStream }[]): void => {
    const byStream = new Map<ClientStream, { id: number }[]>()
    for (const { call, from } of calls) {
      if (!byStream.has(from)) byStream.set(from, [])
      byStream.get(from)!.push({ id: call.id })
    }
    for (const [from, answers] of byStream) from.write({ answers })
  }
  const flush = (): void => {
    const calls = gathered
    gathered = []
    const records = calls.map(({ call }) => toRecord(call))
    const first = last + 1
    last += records.length
    groups.push({ through: last, records, calls })
    for (const follower of followers) follower.write({ first, records, committed })
    const mine = last
    save({ records, saved: () => stored_(0, mine) })
  }
  setInterval(() => {
    for (const follower of followers) follower.write({ first: last + 1, records: [], committed })
  }, 50)
  return (stream) => {
    stream.on('data', ({ calls }: { calls: Call[] }) => {
      const reads = calls.filter((call) => call.read)
      if (reads.length > 0) stream.write({ answers: reads.map(({ id, key }) => ({ id, value: db.getSync(key) })) })
      for (const call of calls) if (!call.read && gathered.push({ call, from: stream }) === 1) setImmediate(flush)
    })
    stream.on('error', () => {})
  }
}

const server = new Server()
server.addService(Service.service, { Serve: followerPorts.length > 0 ? lead() : () => {}, Replicate: replicate })
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => process.send!({ port }))
process.on('disconnect', () => process.exit())
