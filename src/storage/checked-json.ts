import { crc32 } from 'node:zlib'

/** Small JSON files that carry a checksum of their own contents, in a form that people can read. */
export function printChecked(contents: Record<string, unknown>): Uint8Array {
  const text = `${JSON.stringify({ ...contents, checksum: checksumOf(contents) }, null, 2)}\n`
  return new Uint8Array(Buffer.from(text, 'utf8'))
}

/** The contents without the checksum, null where it does not fit or they are no JSON object. */
export function parseChecked(bytes: Uint8Array): Record<string, unknown> | null {
  const json = parseObject(bytes)
  if (json instanceof Error) return null
  const { checksum, ...contents } = json
  return checksum === checksumOf(contents) ? contents : null
}

/** An Error says why it is no JSON object. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | Error {
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>
    return new Error('it is not an object')
  } catch (error) {
    return error as Error
  }
}

/** Over the contents as JSON without spaces: parsing and printing again keeps members in their order. */
function checksumOf(contents: Record<string, unknown>): string {
  return crc32(JSON.stringify(contents)).toString(16).padStart(8, '0')
}
