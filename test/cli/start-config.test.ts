import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readStartSettings } from '../../cli/start-config.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function configFile(text: string): string {
  const file = join(folder, 'holdfast.yaml')
  writeFileSync(file, text)
  return file
}

describe('settings of start', () => {
  it('come from the file, then the environment, then flags: later wins', () => {
    const file = configFile('data: from-file\nlisten: 127.0.0.1:1\npeer-listen: 127.0.0.1:2\n')
    const env = { HOLDFAST_LISTEN: '127.0.0.1:3', HOLDFAST_PEER_LISTEN: '127.0.0.1:4', PATH: '/bin' }
    expect(readStartSettings({ file, env, flags: { 'peer-listen': '127.0.0.1:5' } })).toEqual({
      data: 'from-file',
      listen: '127.0.0.1:3',
      'peer-listen': '127.0.0.1:5',
    })
  })

  it('take lists and switches as text from the environment', () => {
    const env = { HOLDFAST_JOIN: 'a:1, b:2', HOLDFAST_INSECURE: 'true' }
    expect(readStartSettings({ file: null, env, flags: {} })).toEqual({ join: ['a:1', 'b:2'], insecure: true })
  })

  it('know the HTTP port by the same name everywhere, and off', () => {
    const file = configFile('http: off\n')
    expect(readStartSettings({ file, env: {}, flags: {} })).toEqual({ http: 'off' })
    const env = { HOLDFAST_HTTP: '127.0.0.1:1' }
    expect(readStartSettings({ file, env, flags: {} })).toEqual({ http: '127.0.0.1:1' })
  })

  it('refuse an unknown name in the file, naming it and the file', () => {
    const file = configFile('lisen: 127.0.0.1:1\n')
    const read = () => readStartSettings({ file, env: {}, flags: {} })
    expect(read).toThrow(/holdfast\.yaml: unknown setting lisen: expected data, listen/)
  })

  it('refuse an unknown variable of ours in the environment', () => {
    const read = () => readStartSettings({ file: null, env: { HOLDFAST_LISEN: 'x' }, flags: {} })
    expect(read).toThrow(/environment.*unknown setting lisen/)
  })

  it('leave alone what is ours but no setting, and what Kubernetes sets for a service of our name', () => {
    const env = {
      HOLDFAST_CI: '1',
      HOLDFAST_ENDPOINTS: 'a:1',
      HOLDFAST_SERVICE_HOST: '10.0.0.1',
      HOLDFAST_SERVICE_PORT_CLIENT: '7400',
      HOLDFAST_PORT: 'tcp://10.0.0.1:7400',
      HOLDFAST_PORT_7400_TCP_ADDR: '10.0.0.1',
    }
    expect(readStartSettings({ file: null, env, flags: {} })).toEqual({})
  })

  it.each([
    ['not YAML', 'data: [', /holdfast\.yaml: /],
    ['no mapping', '- a\n- b\n', /holdfast\.yaml: .*object/],
    ['a wrong type', 'listen: 7400\n', /holdfast\.yaml: listen: .*string/],
    ['a wrong choice', 'log-level: loud\n', /holdfast\.yaml: log-level: .*debug/],
  ])('refuse a damaged file: %s', (_, text, message) => {
    const file = configFile(text)
    expect(() => readStartSettings({ file, env: {}, flags: {} })).toThrow(message)
  })

  it('refuse a file that is not there', () => {
    const file = join(folder, 'missing.yaml')
    expect(() => readStartSettings({ file, env: {}, flags: {} })).toThrow(/missing\.yaml: ENOENT/)
  })
})
