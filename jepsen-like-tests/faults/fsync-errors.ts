import { execFile } from 'node:child_process'
import { access, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const FLAG = 'FSYNC_FAILS_WHILE'

/** Stands before the C library's own. As long as the file exists that the variable names, nothing is synced and all fails. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void) {
  const char *path = getenv("${FLAG}");
  return path != NULL && access(path, F_OK) == 0;
}

static int synced(int fd, const char *name) {
  if (fails()) {
    errno = EIO;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
`

/** Why fsync can't be made to fail on this machine; null: it can. */
export async function noFsyncErrors(): Promise<string | null> {
  if (process.platform !== 'linux') return 'a library before others (LD_PRELOAD) needs Linux'
  try {
    await run('gcc', ['--version'])
    return null
  } catch {
    return 'gcc is missing'
  }
}

/** Of one node: its fsync and fdatasync fail with EIO while this is on. */
export class FsyncErrors {
  /** What the node's process must be started with. */
  readonly env: Readonly<Record<string, string>>
  readonly #flag: string

  private constructor(shim: string, flag: string) {
    this.#flag = flag
    this.env = { LD_PRELOAD: shim, [FLAG]: flag }
  }

  /** Files are made in `directory`, which must stay as long as the node runs. */
  static async make({ directory, name }: { directory: string; name: string }): Promise<FsyncErrors> {
    const shim = join(directory, 'fsync-errors.so')
    await access(shim).catch(() => compile(directory, shim))
    return new FsyncErrors(shim, join(directory, `${name}.eio`))
  }

  async begin(): Promise<void> {
    await writeFile(this.#flag, '')
  }

  async end(): Promise<void> {
    await rm(this.#flag, { force: true })
  }
}

async function compile(directory: string, shim: string): Promise<void> {
  const source = join(directory, 'fsync-errors.c')
  await writeFile(source, SHIM)
  await run('gcc', ['-O2', '-shared', '-fPIC', '-o', shim, source, '-ldl'])
}
