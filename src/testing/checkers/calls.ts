import type { Key, Version } from '../../base/ids.js'
import type { EndedCall, FollowedRead, HistoryObserver, ScannedPage, View } from '../history.js'
import type { RecordsModel } from './records.js'
import { VersionChecker } from './versions.js'
import type { Violations } from './violations.js'

/** What clients were told, held against what was written: every acknowledgement and every read names a record that is there. */
export class CallChecker implements HistoryObserver {
  readonly #violations: Violations
  readonly #records: RecordsModel
  readonly #versions: VersionChecker
  readonly #keyOf: (name: string) => Key
  /** Per value: the keys that one batch wrote it to. */
  readonly #batches = new Map<string, readonly string[]>()
  /** What may have been written, by key and value; 'fail': it was not. */
  readonly #writes = new Map<string, EndedCall['status']>()
  /** Per client: what it saw in its last view, which the next call may go on with. */
  readonly #views = new Map<number | string, readonly EndedCall[]>()
  /** Per client: the newest version that it was told of. */
  readonly #told = new Map<number | string, Version>()
  /** Per key: deletes whose outcome is unknown, and versions of those that are known. */
  readonly #deletes = new Map<string, { unknown: number; readonly known: Set<Version> }>()

  constructor(violations: Violations, records: RecordsModel, keyOf: (name: string) => Key) {
    this.#violations = violations
    this.#records = records
    this.#versions = new VersionChecker(violations)
    this.#keyOf = keyOf
  }

  ended(calls: readonly EndedCall[], isOneView: View): void {
    for (const call of calls) {
      const { version } = call
      if (version !== undefined && call.status === 'ok' && version > 0) {
        this.#versions.saw({ ...call, version })
        this.#tell(call.client, version)
      }
      if (call.op === 'get') this.#read(call)
      else this.#write(call, calls)
    }
    const client = calls[0]?.client
    if (isOneView === false || client === undefined) return
    const view = isOneView === 'goes on' ? [...(this.#views.get(client) ?? []), ...calls] : calls
    this.#views.set(client, view)
    this.#view(view)
  }

  followed(reads: readonly FollowedRead[], seen: Version | null): void {
    for (const read of reads) this.#named(read)
    if (seen === null) return
    for (const { client } of reads) this.#remembers(client, seen)
    for (const read of reads) {
      this.#isNoOlder(read, seen)
      this.#tell(read.client, read.version)
    }
  }

  #isNoOlder(call: FollowedRead, seen: Version): void {
    let least = 0 as Version
    for (const { version } of this.#records.recordsOf(this.#keyOf(call.key))) {
      if (version <= seen && version > least) least = version
    }
    this.#violations.require(
      least === 0 || this.#isAtLeast(call, least),
      () =>
        `client ${call.client} had seen version ${seen} and read ${call.key} = ${call.result} of version ${call.version} from a follower: version ${least} is there`,
    )
  }

  /** A page at a version shows what was written up to it, and no more and no less. */
  scanned({ client, span, at, rows, keysOnly, seen }: ScannedPage): void {
    if (seen !== null) {
      this.#remembers(client, seen)
      this.#violations.require(
        at >= seen,
        () => `client ${client} had seen version ${seen} and was shown a page at version ${at}`,
      )
    }
    const expected = this.#records.visible(span, at)
    for (const { key, version, value } of rows) {
      const record = expected.get(key)
      expected.delete(key)
      this.#violations.require(
        record?.version === version && value !== null && (keysOnly || textOf(value) === textOf(record.value!)),
        () =>
          `client ${client} scanned at version ${at} and was shown ${JSON.stringify(key)} of version ${version}; written up to then was ${record === undefined ? 'nothing that is left' : `version ${record.version}`}`,
      )
    }
    const [missing] = expected.values()
    this.#violations.require(
      missing === undefined,
      () =>
        `client ${client} scanned at version ${at} and was not shown ${JSON.stringify(missing!.key)} of version ${missing!.version}`,
    )
  }

  #tell(client: number | string, version: Version): void {
    if (version > (this.#told.get(client) ?? 0)) this.#told.set(client, version)
  }

  /** A client asks other replicas for all that it was told of. */
  #remembers(client: number | string, seen: Version): void {
    const told = this.#told.get(client) ?? 0
    this.#violations.require(
      seen >= told,
      () => `client ${client} was told of version ${told} and asks for version ${seen} only`,
    )
  }

  #read({ status, version, key, result, client }: EndedCall & { op: 'get' }): void {
    if (status === 'ok' && version !== undefined) this.#named({ key, result, client, version })
  }

  /** What was read is written there. */
  #named({ version, key, result, client }: FollowedRead): void {
    if (result === null) return
    const found = this.textAt(key, version)
    this.#violations.require(
      found === result,
      () => `client ${client} read ${key} = ${result} at version ${version}; written there was ${found}`,
    )
  }

  #write(call: EndedCall & { op: 'put' | 'delete' | 'cas' }, calls: readonly EndedCall[]): void {
    const { status, key, version, client } = call
    const isWritten = status === 'ok' && (call.op === 'put' || call.result === true)
    if (call.op === 'delete') {
      let deletes = this.#deletes.get(key)
      if (deletes === undefined) {
        deletes = { unknown: 0, known: new Set() }
        this.#deletes.set(key, deletes)
      }
      if (status === 'info') deletes.unknown++
      else if (isWritten && version !== undefined) deletes.known.add(version)
    } else {
      this.#writes.set(nameOf(key, call.value), isWritten || status === 'info' ? status : 'fail')
      const puts = calls.filter(({ op }) => op === 'put' || op === 'cas').map((each) => each.key)
      if (puts.length > 1) this.#batches.set(call.value, puts)
    }
    if (!isWritten || version === undefined) return
    const expected = call.op === 'delete' ? null : call.value
    const found = this.textAt(key, version)
    this.#violations.require(
      found === expected,
      () =>
        `client ${client} was told that ${key} = ${expected} is written under version ${version}; there is ${found}`,
    )
  }

  /** All or nothing: who sees what a batch wrote to one key, in a view of one moment, sees at least that at its other keys. */
  #view(calls: readonly EndedCall[]): void {
    for (const call of calls) {
      if (call.op !== 'get' || call.status !== 'ok' || call.result === null) continue
      for (const other of this.#batches.get(call.result) ?? []) {
        const beside = calls.find(({ key, op }) => key === other && op === 'get')
        if (beside === undefined || call.version === undefined) continue
        this.#violations.require(
          this.#isAtLeast(beside, call.version),
          () =>
            `client ${call.client} saw half a batch: ${call.key} = ${call.result} at version ${call.version}, ${other} at version ${beside.version ?? 'none'}`,
        )
      }
    }
  }

  #isAtLeast({ key, version }: Pick<EndedCall, 'key' | 'version'>, least: Version): boolean {
    if (version !== undefined && version > 0) return version >= least
    return this.#records.recordsOf(this.#keyOf(key)).some((record) => record.value === null && record.version >= least)
  }

  /**
   * All calls have ended. What is written of these keys is what clients asked for: nothing that was said to have failed, nothing twice,
   * no half batches, nothing that nobody wrote.
   */
  finish(names: readonly string[]): void {
    const asked = new Set(names.map((name) => this.#keyOf(name)))
    for (const key of this.#records.keysWith(this.#keyOf(''))) {
      this.#violations.require(asked.has(key), () => `${JSON.stringify(key)} is written, and nobody asked for it`)
    }
    for (const name of names) {
      const seen = new Set<string>()
      let tombstones = 0
      for (const { value, version } of this.#records.recordsOf(this.#keyOf(name))) {
        if (value === null) {
          if (this.#deletes.get(name)?.known.has(version) !== true) tombstones++
          continue
        }
        const text = textOf(value)
        const status = this.#writes.get(nameOf(name, text))
        this.#violations.require(
          status === 'ok' || status === 'info',
          () =>
            `${name} = ${text} is written under version ${version}, ${status === 'fail' ? 'by a call that failed' : 'by nobody'}`,
        )
        this.#violations.require(
          !seen.has(text),
          () => `${name} = ${text} is written twice, again under version ${version}`,
        )
        seen.add(text)
        this.#wholeBatch(name, text, version)
      }
      const unknown = this.#deletes.get(name)?.unknown ?? 0
      this.#violations.require(
        tombstones <= unknown,
        () => `${name} was deleted ${tombstones} times by ${unknown} calls of unknown outcome`,
      )
    }
  }

  #wholeBatch(name: string, text: string, version: Version): void {
    for (const other of this.#batches.get(text) ?? []) {
      this.#violations.require(
        this.textAt(other, version) === text,
        () => `half a batch is written: ${name} = ${text} under version ${version}, and not ${other}`,
      )
    }
  }

  /** What was written to the key under this version, null for a delete; undefined: nothing. */
  textAt(name: string, version: Version): string | null | undefined {
    const record = this.#records.at(this.#keyOf(name), version)
    if (record === undefined) return undefined
    return record.value === null ? null : textOf(record.value)
  }
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8')
}

function nameOf(key: string, value: string): string {
  return `${key}=${value}`
}
