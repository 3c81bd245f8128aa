import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClusterStatus } from '../../src/client/index.js'
import { eventually } from '../eventually.js'
import { holdfastOnce, isAlive, Spawned } from './spawned.js'

const STARTED = /Ctrl-C stops all nodes/

let folder = ''
let dev: Spawned | null = null
let endpoint = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-dev-process-'))
})
afterAll(async () => {
  await dev?.stop('SIGINT')
  rmSync(folder, { recursive: true })
})

const data = () => join(folder, 'cluster')

async function startDev(...argv: readonly string[]): Promise<Spawned> {
  dev = new Spawned(['dev', '--data', data(), ...argv])
  await dev.until(STARTED)
  endpoint = /-e (127\.0\.0\.1:\d+)/.exec(dev.out)![1]!
  return dev
}

const at = (...argv: readonly string[]) => holdfastOnce(...argv, '-e', endpoint, '--deadline', '20000')

async function status(): Promise<ClusterStatus> {
  return JSON.parse((await at('status', '--json')).out) as ClusterStatus
}

/** With slow disks there may be an election at any time, and a node that is busy shows as down: such a picture is not taken. */
function statusOf(up: number): Promise<ClusterStatus> {
  return eventually(async () => {
    const now = await status()
    const isLed = now.ranges.every((range) => range.leader !== null)
    return isLed && now.nodes.filter((node) => node.up).length === up ? now : null
  })
}

/** One cluster through its life: every test goes on where the one before ended. */
describe.sequential('holdfast dev', () => {
  it('starts three processes, waits until they serve, and shows them', async () => {
    const { out } = await startDev('--port', '0')
    const { nodes, ranges } = await statusOf(3)
    expect(new Set(nodes.map((node) => node.pid)).size).toBe(3)
    expect(ranges.every((range) => range.replicas.length === 3)).toBe(true)
    for (const node of nodes) expect(out).toMatch(new RegExp(`^${node.id} +${node.address} .* ${node.pid} `, 'm'))
  })

  it('names five commands that work as they stand', async () => {
    const commands = [...dev!.out.matchAll(/^ {2}npx holdfast (.*)$/gm)].map(([, command]) => command!.split(' '))
    expect(commands.map(([name]) => name)).toEqual(['put', 'get', 'scan', 'status', 'bench'])
    for (const command of commands.slice(0, 4))
      expect(await holdfastOnce(...command, '--deadline', '20000')).toMatchObject({ code: 0 })
    expect((await holdfastOnce(...commands[4]!, '--count', '200', '--deadline', '20000')).code).toBe(0)
  })

  it('keeps a log for every node beside its data', () => {
    for (const number of [1, 2, 3]) {
      expect(readFileSync(join(data(), `node-${number}`, 'node.log'), 'utf8')).toContain('"msg":"ready"')
    }
  })

  it('refuses a second dev in the same folder and names the first', async () => {
    const second = await holdfastOnce('dev', '--data', data())
    expect(second.code).toBe(5)
    expect(second.err).toContain(`process ${dev!.pid} already runs a dev cluster in ${data()}`)
  })

  it('says who leads now, starts a killed node again after two seconds, and says so', async () => {
    // Who has just been elected may not have been seen to lead, or lead again once it is back: then there is nothing to say of leads.
    await eventually(async () => {
      const { nodes } = await statusOf(3)
      const victim = nodes.find((node) => node.leaders > 0)!
      process.kill(victim.pid, 'SIGKILL')
      await dev!.until(new RegExp(`node ${victim.id} lost \\(SIGKILL\\): starting it again in 2 s`))
      await dev!.until(new RegExp(`node ${victim.id} is back \\(process (?!${victim.pid}\\))\\d+\\)`))
      return new RegExp(`range \\d+ is now led by node \\d \\(before: node ${victim.id}\\)`).test(dev!.out)
    })
    expect((await at('get', 'greeting')).out).toBe('hello\n')
    await statusOf(3)
  })

  it('stops all nodes on Ctrl-C and ends with 0', async () => {
    const pids = (await status()).nodes.map((node) => node.pid)
    const code = await dev!.stop('SIGINT')
    expect(code).toBe(0)
    expect(pids.filter(isAlive)).toEqual([])
    expect(dev!.out).toContain('stopped; the data stays')
  })

  it('refuses another number of nodes and says what to do', async () => {
    const { code, err } = await holdfastOnce('dev', '--data', data(), '--nodes', '5')
    expect(code).toBe(5)
    expect(err).toMatch(/has 3 nodes, not 5: leave --nodes out to start it, add --reset/)
  })

  it('has the data at the next start, on the same ports', async () => {
    const before = endpoint
    await startDev('--no-restart')
    expect(endpoint).toBe(before)
    expect((await at('get', 'greeting')).out).toBe('hello\n')
  })

  it('leaves a dead node dead with --no-restart, and serves on', async () => {
    const [first, second] = (await statusOf(3)).nodes
    process.kill(second!.pid, 'SIGKILL')
    await dev!.until(new RegExp(`node ${second!.id} lost \\(SIGKILL\\): left as it is`))
    expect((await at('put', 'without', 'one')).code).toBe(0)
    expect(isAlive(first!.pid)).toBe(true)
  })

  it('takes its nodes along when it is killed itself', async () => {
    const pids = (await statusOf(2)).nodes.filter((node) => node.up).map((node) => node.pid)
    await dev!.stop('SIGKILL')
    await eventually(() => pids.every((pid) => !isAlive(pid)))
  })

  it('cuts the data into the ranges asked for once there is some, and says so', async () => {
    const running = await startDev('--ranges', '4')
    const file = join(folder, 'rows.jsonl')
    const rows = Array.from({ length: 2_000 }, (_, index) => JSON.stringify({ key: ['row', index], value: index }))
    writeFileSync(file, rows.join('\n'))
    expect((await at('import', file)).code).toBe(0)
    await running.until(/the data was cut into 4 ranges by the keys that are there/)
    await eventually(async () => (await status()).ranges.length === 5)
    const exported = await at('export', '--namespace', 'tuple')
    expect(exported.out.trim().split('\n')).toHaveLength(2_000)
  })

  it('deletes everything with --reset, and says what', async () => {
    await dev!.stop('SIGTERM')
    const running = await startDev('--reset', '--port', '0', '--nodes', '1')
    expect(running.out).toContain(`removed ${join(data(), 'node-3')}`)
    expect((await at('get', 'greeting')).code).toBe(1)
    expect((await status()).nodes).toHaveLength(1)
  })
})
