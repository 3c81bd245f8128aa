import { beforeEach, describe, expect, it, vi } from 'vitest'
import { settingNames, variableOf } from '../../cli/start-config.js'
import { HoldfastError } from '../../src/base/errors.js'
import { storedKeyOf } from '../../src/client/index.js'
import { Harness } from './harness.js'

let cli = new Harness()
beforeEach(() => {
  cli = new Harness()
})

const COMMANDS = 'dev start init status nodes ranges get put del scan split transfer import export bench'.split(' ')

describe('help', () => {
  it.each(COMMANDS)('%s has a description, and examples that parse', async (command) => {
    const { exit, out } = await cli.run([command, '--help'])
    expect(exit).toBe(0)
    expect(out).toContain(`Usage: holdfast ${command}`)
    expect(out).toMatch(new RegExp(`Examples:\n  .*holdfast ${command}`))
  })

  it('lists every command', async () => {
    const { exit, out } = await cli.run(['--help'])
    expect(exit).toBe(0)
    for (const command of COMMANDS) expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
  })

  it('of start names every setting as it stands in the file, in the environment and as a flag', async () => {
    const { out } = await cli.run(['start', '--help'])
    for (const name of settingNames) {
      expect(out).toMatch(new RegExp(`^  --${name}\\b`, 'm'))
      expect(out).toMatch(new RegExp(`^  ${name} +${variableOf(name)} +--${name}$`, 'm'))
    }
  })

  it('is shown when nothing is asked, as a usage error', async () => {
    const { exit, err } = await cli.run([])
    expect(exit).toBe(2)
    expect(err).toContain('Usage: holdfast')
  })

  it('shows the version of the package', async () => {
    expect((await cli.run(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('usage errors end with 2 and name what is wrong', () => {
  it.each([
    [['gte', 'a'], /unknown command 'gte'.*\n.*Did you mean get/s],
    [['get'], /missing required argument 'key'/],
    [['get', 'a', 'b'], /too many arguments/],
    [['get', 'a', '--jsn'], /unknown option '--jsn'/],
    [['get', ''], /the key is empty/],
    [['get', '["a"'], /the key \["a" is not JSON/],
    [['get', '[{"a":1}]'], /is not a key/],
    [['get', 'a', '-e', 'nowhere'], /Expected host:port/],
    [['get', 'a', '-e', 'a:99999'], /Expected host:port/],
    [['get', 'a', '--deadline', '0'], /Expected an integer from 1 to/],
    [['get', 'a', '--deadline', '1e3'], /Expected an integer from 1 to/],
    [['put', 'a', 'b', '--codec', 'xml'], /Allowed choices are utf8, json, msgpack, bytes/],
    [['put', 'a', '{', '--codec', 'json'], /the value is not JSON, which codec json expects/],
    [['put', 'a', '!', '--codec', 'bytes'], /the value is not base64/],
    [['put', 'a', 'b', '--if-version', '-1'], /Expected an integer from 0/],
    [['put', 'a', 'b', '--if-version', '1', '--if-absent'], /cannot be used with option/],
    [['scan', '--prefix', 'a', '--start', 'b'], /cannot be used with option/],
    [['scan', '--limit', '0'], /Expected an integer from 1/],
    [['dev', '--nodes', '0'], /Expected an integer from 1 to 9/],
    [['start', '--port', '70000'], /Expected an integer from 0/],
    [['start', '--port', '7400', '--listen', '127.0.0.1:1'], /cannot be used with option/],
    [['start', '--join', 'nowhere'], /Expected host:port/],
    [['start', '--config', '/missing/holdfast.yaml'], /\/missing\/holdfast\.yaml: ENOENT/],
    [['import', '/missing/rows.jsonl'], /\/missing\/rows\.jsonl/],
    [['bench', '--callers', '5000'], /Expected an integer from 1 to 4096/],
  ])('%j', async (argv, message) => {
    const { exit, err, out } = await cli.run(argv)
    expect(err).toMatch(message)
    expect(exit).toBe(2)
    expect(out).toBe('')
  })
})

describe('get, put and del', () => {
  it('read what was written, as text', async () => {
    expect(await cli.run(['put', 'greeting', 'hello'])).toMatchObject({ exit: 0, out: '1\n' })
    expect(await cli.run(['get', 'greeting'])).toMatchObject({ exit: 0, out: 'hello\n' })
  })

  it('show key, value, version and codec as JSON', async () => {
    await cli.run(['put', '["user",7]', '{"n":1,"b":{"$bytes":"AAE="}}', '--codec', 'msgpack'])
    const { json } = await cli.run(['get', '["user",7]', '--json'])
    expect(json).toEqual([{ key: ['user', 7], value: { n: 1, b: { $bytes: 'AAE=' } }, version: 1, codec: 'msgpack' }])
  })

  it('keep tuple keys and string keys apart, and --raw takes a bracket as text', async () => {
    await cli.run(['put', '["a"]', 'tuple'])
    await cli.run(['put', '["a"]', 'string', '--raw'])
    expect((await cli.run(['get', '["a"]'])).out).toBe('tuple\n')
    expect((await cli.run(['get', '["a"]', '--raw'])).out).toBe('string\n')
  })

  it('take bytes as base64, and from standard input as they are', async () => {
    await cli.run(['put', 'a', 'AAH/', '--codec', 'bytes'])
    await cli.run(['put', 'b', '-', '--codec', 'bytes'], [Uint8Array.of(0, 1), Uint8Array.of(255)])
    for (const key of ['a', 'b']) {
      expect((await cli.run(['get', key])).json).toEqual([{ $bytes: 'AAH/' }])
    }
  })

  it('end with 1 when there is nothing', async () => {
    expect(await cli.run(['get', 'none'])).toMatchObject({ exit: 1, out: '', err: 'not found: none\n' })
    expect(await cli.run(['get', 'none', '--json'])).toMatchObject({ exit: 1, out: 'null\n' })
    expect(await cli.run(['del', 'none'])).toMatchObject({ exit: 1, err: 'not found: none\n' })
  })

  it('end with 1 when a condition fails, and say what is there', async () => {
    await cli.run(['put', 'a', '1'])
    const failed = await cli.run(['put', 'a', '2', '--if-absent'])
    expect(failed).toMatchObject({ exit: 1, err: 'error: the key has version 1 (CONDITION_FAILED)\n' })
    expect((await cli.run(['put', 'a', '2', '--if-version', '1'])).exit).toBe(0)
    expect((await cli.run(['del', 'a', '--if-version', '1'])).exit).toBe(1)
    expect(await cli.run(['del', 'a', '--json'])).toMatchObject({ exit: 0, json: [{ deleted: true, version: 3 }] })
  })

  it('connect to the endpoint of the flag, else of the environment, else of this machine', async () => {
    await cli.run(['get', 'a'])
    cli.env = { HOLDFAST_ENDPOINTS: 'x:1, y:2' }
    await cli.run(['get', 'a'])
    await cli.run(['get', 'a', '-e', 'z:3'])
    cli.env = { HOLDFAST_ENDPOINTS: '' }
    await cli.run(['get', 'a'])
    const local = ['127.0.0.1:7400']
    expect(cli.connected.map((each) => each.endpoints)).toEqual([local, ['x:1', 'y:2'], ['z:3'], local])
  })

  it.each(['x', 'x:1,,y:2', 'x:1,http://y:2'])('refuse HOLDFAST_ENDPOINTS=%s, naming it', async (endpoints) => {
    cli.env = { HOLDFAST_ENDPOINTS: endpoints }
    const { exit, err } = await cli.run(['get', 'a'])
    expect([exit, err]).toEqual([2, expect.stringMatching(/HOLDFAST_ENDPOINTS.*Expected/)])
    expect(cli.connected).toEqual([])
  })

  it('close the connection, also after an error', async () => {
    await cli.run(['get', 'a'])
    cli.cluster.getEntry = () => Promise.reject(new HoldfastError('UNAVAILABLE', 'nobody there'))
    await cli.run(['get', 'a'])
    expect(cli.cluster.closed).toBe(2)
  })
})

describe('a failed call', () => {
  it.each([
    ['UNAVAILABLE', 3],
    ['DEADLINE', 3],
    ['OUTCOME_UNKNOWN', 4],
    ['CROSSES_RANGES', 5],
    ['TOO_LARGE', 2],
  ] as const)('%s ends with %i and tells whether it may have been applied', async (code, exit) => {
    cli.cluster.put = () => Promise.reject(new HoldfastError(code, 'it did not work'))
    expect(await cli.run(['put', 'a', 'b'])).toMatchObject({ exit, err: `error: it did not work (${code})\n` })
    const { err } = await cli.run(['put', 'a', 'b', '--json'])
    const mayHaveBeenApplied = code === 'OUTCOME_UNKNOWN'
    expect(JSON.parse(err)).toEqual({ error: { code, message: 'it did not work', mayHaveBeenApplied } })
  })
})

describe('scan', () => {
  beforeEach(async () => {
    for (const key of ['a', 'b/1', 'b/2', 'c']) await cli.run(['put', key, `value of ${key}`])
    await cli.run(['put', '["t",1]', '1', '--codec', 'json'])
  })

  const keysOf = (json: readonly unknown[]) => json.map((row) => (row as { key: unknown }).key)

  it.each([
    [[], ['a', 'b/1', 'b/2', 'c']],
    [
      ['--prefix', 'b/'],
      ['b/1', 'b/2'],
    ],
    [
      ['--start', 'b/2'],
      ['b/2', 'c'],
    ],
    [
      ['--end', 'b/2'],
      ['a', 'b/1'],
    ],
    [
      ['--start', 'b', '--end', 'c', '--reverse'],
      ['b/2', 'b/1'],
    ],
    [['--limit', '1'], ['a']],
    [['--namespace', 'tuple'], [['t', 1]]],
    [['--prefix', '["t"]'], [['t', 1]]],
  ])('%j', async (argv, keys) => {
    expect(keysOf((await cli.run(['scan', '--json', ...argv])).json)).toEqual(keys)
  })

  it('prints a table, and says when it stopped at the limit', async () => {
    const { out, err } = await cli.run(['scan', '--limit', '2'])
    expect(out.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['KEY', 'VERSION', 'VALUE'],
      ['a', '1', 'value of a'],
      ['b/1', '2', 'value of b/1'],
      [''],
    ])
    expect(err).toBe('stopped after 2 rows: --limit allows more\n')
  })

  it('never sends what a value holds to the terminal as a command', async () => {
    await cli.run(['put', 'z', '\u001b[2J\nline'])
    const { out } = await cli.run(['scan', '--prefix', 'z'])
    expect(out).toContain('\\u001b[2J\\u000aline')
  })

  it('leaves values out on demand', async () => {
    const { json } = await cli.run(['scan', '--keys-only', '--json', '--limit', '1'])
    expect(json).toEqual([{ key: 'a', version: 1 }])
  })
})

describe('the cluster', () => {
  it('status --json is the status of the SDK', async () => {
    expect((await cli.run(['status', '--json'])).json).toEqual([await cli.cluster.status()])
    expect((await cli.run(['nodes', '--json'])).json).toEqual([(await cli.cluster.status()).nodes])
    expect((await cli.run(['ranges', '--json'])).json).toEqual([(await cli.cluster.status()).ranges])
  })

  it('status says in one line what is wrong', async () => {
    cli.cluster.nodes = [...cli.cluster.nodes, { ...cli.cluster.nodes[0]!, id: 2, up: false }]
    cli.cluster.leader = null
    const { out } = await cli.run(['status'])
    expect(out).toContain('cluster c0ffee: 1 of 2 nodes answer, 0 of 2 ranges have a leader')
    expect(out).toMatch(/^2 +127\.0\.0\.1:7400 .*no answer/m)
  })

  it('split cuts at a key', async () => {
    expect((await cli.run(['split', '["m"]'])).out).toBe('range 3 now begins at ["m"]\n')
    expect(cli.cluster.splits).toEqual([['m']])
  })

  it('transfer hands the lead of a range to a node, and refuses by name what it is refused', async () => {
    expect((await cli.run(['transfer', '2', '3'])).out).toBe('range 2 is led by node 3\n')
    expect((await cli.run(['transfer', '2', '1', '--json'])).json).toEqual([{ range: 2, leader: 1 }])
    expect(cli.cluster.transfers).toEqual([
      { range: 2, to: 3 },
      { range: 2, to: 1 },
    ])
    expect(await cli.run(['transfer', '2', 'three'])).toMatchObject({ exit: 2 })
    cli.cluster.transfer = () => Promise.reject(new HoldfastError('OUTCOME_UNKNOWN', 'node 3 has not taken the lead'))
    const late = await cli.run(['transfer', '2', '3'])
    expect(late).toMatchObject({ exit: 4, out: '', err: 'error: node 3 has not taken the lead (OUTCOME_UNKNOWN)\n' })
  })

  it('init passes replicas and stored boundaries on', async () => {
    const { exit, json } = await cli.run([
      'init',
      '-e',
      'h:1',
      '--replicas',
      '1',
      '--split-at',
      'g,n',
      '--split-at',
      '["u",5]',
      '--json',
    ])
    expect(exit).toBe(0)
    expect(json).toMatchObject([{ cluster: 'c0ffee' }])
    expect(cli.inits).toEqual([
      {
        addresses: ['h:1'],
        options: { replicas: 1, splitAt: ['g', 'n', ['u', 5]].map((key) => storedKeyOf(key)), deadlineMs: 30_000 },
      },
    ])
  })
})

describe('bench', () => {
  it('makes exactly as many calls as asked and reports them', async () => {
    const { exit, json } = await cli.run(['bench', '--count', '300', '--callers', '8', '--keys', '10', '--json'])
    expect(exit).toBe(0)
    expect(json).toMatchObject([{ op: 'put', callers: 8, done: 300, failed: 0 }])
    expect(cli.cluster.entries.size).toBe(10)
  })

  it('fills the keys before it reads', async () => {
    const { json } = await cli.run(['bench', '--op', 'get', '--count', '5', '--keys', '20', '--json'])
    expect(json).toMatchObject([{ op: 'get', done: 5 }])
    expect(cli.cluster.entries.size).toBe(20)
  })

  it('counts failed calls by code and ends with 3', async () => {
    cli.cluster.put = () => Promise.reject(new HoldfastError('OVERLOADED', 'full'))
    const { exit, json } = await cli.run(['bench', '--count', '5', '--json'])
    expect(exit).toBe(3)
    expect(json).toMatchObject([{ done: 0, failed: 5, errors: { OVERLOADED: 5 } }])
  })
})

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('prints a script for %s that calls holdfast', async (shell) => {
    const printed = vi.spyOn(console, 'log').mockImplementation(() => {})
    const { exit } = await cli.run(['completion', shell])
    const script = printed.mock.calls.flat().join('\n')
    printed.mockRestore()
    expect(exit).toBe(0)
    expect(script).toContain('holdfast complete --')
  })
})
