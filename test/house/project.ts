import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** The checkout: the nearest folder above this compiled file that has a package.json. */
export const root = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder))
}

export interface Import {
  readonly specifier: string
  /** Only types come from it: nothing of it is there at run time. */
  readonly typeOnly: boolean
  /** `import()`: loaded when it is asked for. */
  readonly lazy: boolean
  readonly line: number
}

export interface SourceFile {
  /** From the root, with '/'. */
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
  readonly imports: readonly Import[]
}

export function filesUnder(folder: string, ending: string): string[] {
  const top = join(root, folder)
  if (!existsSync(top)) return []
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

export function readSources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) => filesUnder(folder, '.ts')).map(readSource)
}

/** Read and parsed once, however many rules look at them. */
const sources = new Map<string, SourceFile>()

function readSource(path: string): SourceFile {
  const known = sources.get(path)
  if (known !== undefined) return known
  const source = parseSource({ path, text: readFileSync(join(root, path), 'utf8') })
  sources.set(path, source)
  return source
}

export function parseSource({ path, text }: { path: string; text: string }): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  return { path, text, tree, imports: importsOf(tree) }
}

export function visit(node: ts.Node, each: (node: ts.Node) => void): void {
  each(node)
  ts.forEachChild(node, (child) => visit(child, each))
}

export function lineOf(tree: ts.SourceFile, node: ts.Node): number {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

function importsOf(tree: ts.SourceFile): Import[] {
  const found: Import[] = []
  visit(tree, (node) => {
    const specifier = specifierOf(node)
    if (specifier !== null) {
      const lazy = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
      found.push({ specifier, typeOnly: isTypeOnly(node), lazy, line: lineOf(tree, node) })
    }
  })
  return found
}

function specifierOf(node: ts.Node): string | null {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier !== undefined && ts.isStringLiteral(node.moduleSpecifier)
      ? node.moduleSpecifier.text
      : null
  }
  const argument = ts.isCallExpression(node) ? node.arguments[0] : undefined
  if (!ts.isCallExpression(node) || argument === undefined || !ts.isStringLiteral(argument)) return null
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require'
  return isImport || isRequire ? argument.text : null
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  if (!ts.isImportDeclaration(node) || node.importClause === undefined) return false
  const { phaseModifier, name, namedBindings } = node.importClause
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false
  return namedBindings.elements.every((element) => element.isTypeOnly)
}

/** What a relative import means, as a path from the root; null for packages and node: modules. */
export function resolveImport(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  const parts = [...from.split('/').slice(0, -1)]
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '.') parts.push(part)
  }
  return parts.join('/').replace(/\.js$/, '.ts')
}
