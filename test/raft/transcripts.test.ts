import { expect, test } from 'vitest'
import { runScript, trimmed } from './script.js'
import { transcripts } from './transcripts.js'

test.each(Object.entries(transcripts))('transcript: %s', (_, transcript) => {
  expect(runScript(transcript)).toBe(trimmed(transcript).join('\n'))
})
