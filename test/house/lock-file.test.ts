import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './project.js'

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

/** Where node would find `name` from the package at `from`: its own node_modules, then each one above. */
function isLocked(from: string, name: string): boolean {
  const parts = from === '' ? [] : from.split('/node_modules/')
  for (let depth = parts.length; depth >= 0; depth -= 1) {
    const base = parts.slice(0, depth).join('/node_modules/')
    const path = `${base === '' ? '' : `${base}/`}node_modules/${name}`
    if (lock.packages[path] !== undefined) return true
  }
  return false
}

describe('package-lock.json', () => {
  it('holds every optional dependency that a package in it names', () => {
    // npm silently leaves out what the registry does not have, and then refuses to install from that file elsewhere.
    const missing = Object.entries(lock.packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !isLocked(path, name))
        .map((name) => `${path} names ${name}`),
    )
    expect(missing).toEqual([])
  })

  it('names no registry: packages come from the one that the user has', () => {
    const resolved = Object.entries(lock.packages).filter(([, { resolved }]) => resolved?.startsWith('http') === true)
    expect(resolved.map(([path, { resolved }]) => `${path}: ${resolved}`)).toEqual([])
  })

  it('has the version that every package is pinned to', () => {
    const unversioned = Object.entries(lock.packages).filter(
      ([path, { version, link }]) => path !== '' && !version && !link,
    )
    expect(unversioned).toEqual([])
  })
})
