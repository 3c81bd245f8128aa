import { describe, expect, it } from 'vitest'
import type { LogIndex, Term } from '../../src/base/ids.js'
import { limits } from '../../src/base/limits.js'
import type { Entry } from '../../src/raft/types.js'
import { encodeCommands } from '../../src/storage/codec/entry.js'
import { SimCluster } from '../../src/testing/cluster.js'
import { Bench } from './bench.js'
import { append, heartbeat, preVote, vote } from './followers.js'
import { DATA, v } from './requests.js'

function entry(index: number, term = 1): Entry {
  const payload = encodeCommands([])
  return { index: index as LogIndex, term: term as Term, timestamp: v(index), kind: 'commands', payload }
}

describe('acknowledges only what is synced', () => {
  it('a follower accepts an append only once the batch with its entries is durable', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.logGate.close()
    bench.receive(2, append(2, 1, [entry(1), entry(2)]))
    await bench.runFor(50)
    expect(bench.logGate.held).toBe(1)
    expect(bench.messagesTo(2, 'appendAccepted')).toEqual([])
    bench.logGate.open()
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'appendAccepted')).toMatchObject([{ term: 1, matchIndex: 2 }])
  })

  it('an acknowledgement that writes nothing waits for what its entries wait for', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.logGate.close()
    bench.receive(2, append(2, 1, [entry(1)]))
    await bench.runFor(5)
    bench.receive(2, append(2, 1, [entry(1)]))
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'appendAccepted')).toEqual([])
    bench.logGate.open()
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'appendAccepted').at(-1)).toMatchObject({ matchIndex: 1 })
  })

  it('what gathers while a batch is in flight waits for the next one', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.receive(2, append(2, 1, [entry(1)]))
    await bench.runFor(5)
    bench.logGate.close()
    bench.receive(2, append(2, 1, [entry(2)]))
    await bench.runFor(5)
    bench.receive(2, append(2, 1, [entry(3)]))
    await bench.runFor(5)
    const before = bench.batches.filter(({ durable }) => durable).length
    expect(bench.messagesTo(2, 'appendAccepted')).toMatchObject([{ matchIndex: 1 }])
    const acknowledged: { matchIndex: number; durable: number }[] = []
    bench.onSent((_, message) => {
      const durable = bench.batches.filter((batch) => batch.durable).length - before
      if (message.type === 'appendAccepted') acknowledged.push({ matchIndex: message.matchIndex, durable })
    })
    bench.logGate.open()
    await bench.runFor(5)
    expect(acknowledged).toEqual([
      { matchIndex: 2, durable: 1 },
      { matchIndex: 3, durable: 2 },
    ])
  })

  it('a vote leaves only once it is durable, and a vote request only once the own vote is', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.logGate.close()
    bench.receive(2, vote(2, 1, { transfer: true }))
    await bench.runFor(50)
    expect(bench.messagesTo(2, 'voteReply')).toEqual([])
    bench.logGate.open()
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'voteReply')).toMatchObject([{ term: 1, granted: true }])

    bench.logGate.close()
    bench.onSent((to, message) => {
      if (message.type !== 'preVote' || message.range !== DATA) return
      bench.receive(to, { ...message, type: 'preVoteReply', from: message.to, to: message.from, granted: true })
    })
    await bench.runWhile(() => bench.replica(DATA).raft.role !== 'candidate')
    await bench.runFor(20)
    expect(bench.messagesTo(2, 'vote')).toEqual([])
    bench.logGate.open()
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'vote')).toMatchObject([{ term: bench.replica(DATA).raft.term, transfer: false }])
  })

  it('an acknowledgement of a term that is over when its sync ends is not sent', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.logGate.close()
    bench.receive(2, append(2, 1, [entry(1)]))
    await bench.runFor(5)
    bench.receive(3, heartbeat(3, 2))
    await bench.runFor(5)
    bench.logGate.open()
    await bench.runFor(5)
    expect(bench.replica(DATA).raft.term).toBe(2)
    expect(bench.messagesTo(2, 'appendAccepted')).toEqual([])
  })

  it('a pre-vote promises nothing and waits for nothing', async () => {
    const bench = await Bench.open({ nodes: 3 })
    await bench.runFor(limits.electionTicksMin * limits.tickMs)
    bench.logGate.close()
    bench.receive(2, preVote(2, 1))
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'preVoteReply')).toMatchObject([{ granted: true }])
  })

  it('a vote given before the power went is not given again to another', async () => {
    const bench = await Bench.open({ nodes: 3 })
    bench.receive(2, vote(2, 5, { transfer: true }))
    await bench.runFor(5)
    expect(bench.messagesTo(2, 'voteReply')).toMatchObject([{ granted: true }])
    bench.crash()
    await bench.start()
    bench.receive(3, vote(3, 5, { transfer: true }))
    await bench.runFor(5)
    expect(bench.messagesTo(3, 'voteReply')).toMatchObject([{ term: 5, granted: false }])
  })

  it('every acknowledged write is there after the power went everywhere, again and again', async () => {
    const cluster = new SimCluster({ seed: 'power', syncMsMax: 4 })
    await cluster.start()
    const random = cluster.random.fork('crashes')
    const db = cluster.client()
    const acknowledged = new Map<string, string>()
    for (let round = 0; round < 12; round++) {
      const calls = Array.from({ length: 30 }, (_, at) => {
        const [key, value] = [`${at % 10}`, `${round}/${at}`]
        return () => db.put(`${key}/${value}`, value).then(() => acknowledged.set(`${key}/${value}`, value))
      })
      const running = calls.map((call) => call().catch(() => {}))
      await cluster.runFor(random.between(0.5, 8))
      // Two of three, or all: a majority loses what it had not synced.
      const struck = random.chance(0.5) ? [1, 2, 3] : [1, 2, 3].filter((id) => id !== 1 + (round % 3))
      for (const id of struck) cluster.crash(id)
      await cluster.runFor(random.between(0, 20))
      for (const id of struck) cluster.restart(id)
      await cluster.run(() => Promise.all(running))
    }
    expect(acknowledged.size).toBe(12 * 30)
    const keys = [...acknowledged.keys()]
    expect(await cluster.run(() => db.getMany(keys))).toEqual([...acknowledged.values()])
    expect(cluster.violations).toEqual([])
  })
})
