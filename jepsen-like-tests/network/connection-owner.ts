import { readdir, readFile, readlink } from 'node:fs/promises'

/** Of the address and state columns of /proc/net/tcp, whose lines are space separated. */
const LOCAL = 1
const REMOTE = 2
const INODE = 9

/** Which of these processes made the connection from `from` to `to`, both ports of this machine? null: none of them (any more). */
export async function ownerOf(
  { from, to }: { from: number; to: number },
  processIds: readonly number[],
): Promise<number | null> {
  const socket = `socket:[${await inodeOf(from, to)}]`
  for (const pid of processIds) {
    const folder = `/proc/${pid}/fd`
    const descriptors = await readdir(folder).catch(() => [])
    for (const descriptor of descriptors)
      if ((await readlink(`${folder}/${descriptor}`).catch(() => '')) === socket) return pid
  }
  return null
}

async function inodeOf(from: number, to: number): Promise<string | null> {
  const [local, remote] = [from, to].map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`)
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const lines = (await readFile(table, 'utf8').catch(() => '')).split('\n')
    for (const line of lines) {
      const columns = line.trim().split(/\s+/)
      if (columns[LOCAL]?.endsWith(local!) && columns[REMOTE]?.endsWith(remote!)) return columns[INODE] ?? null
    }
  }
  return null
}
