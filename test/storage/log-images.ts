import { LogForgot } from '../../src/storage/log/forgot.js'
import type { Files, LogItem } from '../../src/storage/types.js'
import type { MemoryFiles } from '../../src/testing/files.js'
import { append, contentsOf, memoryFiles, openLog } from './log-support.js'

export const SEGMENT_BYTES = 24 * 1024
export const SECTOR_BYTES = 512
export const FIRST = 'log/0000000001.seg'
export const SECOND = 'log/0000000002.seg'

/** The files of a log at one moment. */
export type Image = ReadonlyMap<string, Uint8Array>
export type Contents = ReturnType<typeof contentsOf>

export interface Written {
  /** The files after each batch. */
  readonly images: Image[]
  /** What a log opened on them holds. */
  readonly contents: Contents[]
}

/** Writes batch after batch; segments that hold no batch yet are left out of the images. */
export async function write(batches: readonly LogItem[][]): Promise<Written> {
  const files = memoryFiles(1, queueMicrotask)
  const log = await openLog(files, SEGMENT_BYTES)
  const images: Image[] = []
  for (const batch of batches) {
    await append(log, batch)
    images.push(imageOf(files))
  }
  await log.close()
  const contents: Contents[] = []
  for (const image of images) contents.push((await open(image)).contents)
  return { images, contents }
}

function imageOf(files: MemoryFiles): Image {
  const all = files.paths().map((path) => [path, files.contents(path).slice()] as const)
  return new Map(all.filter(([, bytes]) => bytes.some((byte) => byte !== 0)))
}

export function filesOf(image: Image): MemoryFiles {
  const files = memoryFiles(1, queueMicrotask)
  for (const [path, bytes] of image) files.put(path, bytes)
  return files
}

export async function open(image: Image): Promise<{ files: MemoryFiles; contents: Contents }> {
  const files = filesOf(image)
  return { files, contents: contentsOf(await openLog(files, SEGMENT_BYTES)) }
}

export function change(image: Image, path: string, alter: (bytes: Uint8Array) => void): Image {
  const bytes = image.get(path)!.slice()
  alter(bytes)
  return new Map([...image, [path, bytes]])
}

export function flip(image: Image, path: string, ...places: readonly number[]): Image {
  return change(image, path, (bytes) => {
    for (const at of places) bytes[at]! ^= 1 + (at % 255)
  })
}

export function zeroSector(image: Image, path: string, at: number): Image {
  return change(image, path, (bytes) => bytes.fill(0, at, at + SECTOR_BYTES))
}

/**
 * What became of a log: 'same', 'cut' (it ends before its last batch), 'damaged: <range>/<index>…', 'forgot: <range>…', both of these,
 * 'log forgot', or what else was found, which is never right.
 */
export function outcome(image: Image, expected: { whole: Contents; before?: Contents }): Promise<string> {
  return outcomeOn(filesOf(image), expected)
}

export async function outcomeOn(files: Files, expected: { whole: Contents; before?: Contents }): Promise<string> {
  const { whole, before } = expected
  let found: Contents
  try {
    found = contentsOf(await openLog(files, SEGMENT_BYTES))
  } catch (error) {
    if (error instanceof LogForgot) return 'log forgot'
    throw error
  }
  const text = JSON.stringify(found)
  if (text === JSON.stringify(whole)) return 'same'
  if (before !== undefined && text === JSON.stringify(before)) return 'cut'
  return lossOf(found, whole) ?? `something else: ${text}`
}

/** null where more differs than what is said to be lost. */
function lossOf(found: Contents, whole: Contents): string | null {
  const forgot = found.ranges.filter((range) => range.forgot).map(({ range }) => range)
  const known = ({ ranges }: Contents) => ranges.filter(({ range }) => !forgot.includes(range))
  const damaged = known(found).flatMap(({ range, damaged }) => damaged.map((index) => `${range}/${index}`))
  const ranges = known(found).map((range) => {
    const wholeEntries = whole.ranges.find((each) => each.range === range.range)?.entries ?? []
    const entries = range.entries.map((entry, n) => (entry.payload === null ? wholeEntries[n] : entry))
    return { ...range, damaged: [], entries }
  })
  if (JSON.stringify({ ...found, ranges }) !== JSON.stringify({ ...whole, ranges: known(whole) })) return null
  const told = [
    damaged.length > 0 ? `damaged: ${damaged.join()}` : '',
    forgot.length > 0 ? `forgot: ${forgot.join()}` : '',
  ]
  return told.filter((text) => text !== '').join('; ')
}
