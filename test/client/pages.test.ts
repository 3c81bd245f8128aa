import { describe, expect, it } from 'vitest'
import type { Span } from '../../src/base/descriptor.js'
import type { Key, Version } from '../../src/base/ids.js'
import { pageOf } from '../../src/client/pages.js'

const key = (text: string) => text as Key
const range: Span = { start: key('c'), end: key('m') }
const version = 7 as Version

function page(asked: { start: string; end: string; reverse: boolean }, lastKey: string) {
  const row = { key: key(lastKey), version, codec: 'bytes' as const, value: new Uint8Array() }
  return pageOf(
    { start: key(asked.start), end: key(asked.end), reverse: asked.reverse, limit: 1, keysOnly: false, bytesMax: 1 },
    { kind: 'page', id: 1, version, rows: [row], more: true },
    range,
  )
}

describe('the next page of a scan', () => {
  it('is read at the version of this one within the same range', () => {
    expect(page({ start: 'd', end: 'z', reverse: false }, 'e')).toMatchObject({ resume: 'e\0', at: version })
    expect(page({ start: 'a', end: 'm', reverse: true }, 'e')).toMatchObject({ resume: 'e', at: version })
  })

  it('is read at the present where a cut page ended on the border of the range', () => {
    expect(page({ start: 'a', end: 'm', reverse: true }, 'c')).toMatchObject({ resume: 'c', at: null })
    const end = { start: key('c'), end: key('e\0') }
    const row = { key: key('e'), version, codec: 'bytes' as const, value: new Uint8Array() }
    const asked = { start: key('d'), end: key('z'), reverse: false, limit: 1, keysOnly: false, bytesMax: 1 }
    const answer = { kind: 'page' as const, id: 1, version, rows: [row], more: true }
    expect(pageOf(asked, answer, end)).toMatchObject({ resume: 'e\0', at: null })
  })
})
