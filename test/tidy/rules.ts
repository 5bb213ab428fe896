/**
 * The house rules that no linter knows, each a pure function of one file's path and text.
 *
 * Every rule carries a planted violation, and the test proves that the rule finds it: a rule that
 * cannot fire is no rule.
 */
import ts from 'typescript'

/** One file of the repository. */
export interface TidyFile {
  /** Path from the repository's root, with forward slashes. */
  readonly path: string
  /** The whole text. */
  readonly text: string
}

/** A house rule. */
export interface TidyRule {
  /** What the rule asks, as it is shown. */
  readonly name: string
  /** Whether the rule looks at this path. */
  readonly appliesTo: (path: string) => boolean
  /** The violations, each with what to do instead; `exists` knows the other files' paths. */
  readonly find: (file: TidyFile, exists: (path: string) => boolean) => string[]
  /** A file that breaks the rule. */
  readonly planted: TidyFile
}

/** Files that are tested through another file's test, with the reason. */
export const TESTED_ELSEWHERE: Readonly<Record<string, { test: string; because: string }>> = {}

/** Pure files that may use what the others may not, with the reason. */
const IMPURE: Readonly<Record<string, string>> = {
  'src/sync/lmdb-key-value-store.ts': 'the home of lmdb, chosen by bin',
  'src/crypto/sodium.ts': 'the home of sodium-native'
}

const BANNED_GLOBALS: Readonly<Record<string, string>> = {
  Buffer: 'use Uint8Array',
  Date: 'pass a Clock',
  performance: 'pass a Clock',
  setTimeout: 'pass a Clock and use after()',
  setInterval: 'pass a Clock and use after()',
  setImmediate: 'pass a Clock and use after()',
  process: 'take what you need as an argument',
  console: 'take a report function',
  fetch: 'the network lives in src/replication',
  require: 'use import'
}

const NAMES_BANNED = /(^|\/)(utils?|helpers?|common|types|misc|index|shared|stuff)(\.[a-z.]+)?$/

/** This file says the words that it bans. */
const SELF = 'test/tidy/rules.ts'

const isTypeScript = (path: string): boolean => path.endsWith('.ts')
const isSource = (path: string): boolean => isTypeScript(path) && path.startsWith('src/')
const isProduct = (path: string): boolean => /^(src|bin|bench)\/.*\.ts$/.test(path)
const isTest = (path: string): boolean => isTypeScript(path) && path.startsWith('test/')
const isCode = (path: string): boolean => /\.(ts|mjs|cjs|c|h)$/.test(path) && path !== SELF
const isPure = (path: string): boolean => /^src\/(sync|crypto)\/.*\.ts$/.test(path)

/** The test that a source file must have. */
export function testPathOf(path: string): string {
  return path.replace(/^src\//, 'test/').replace(/\.ts$/, '.test.ts')
}

/** Whether a file does something that a test could see, beyond declaring types and constants. */
export function hasBehaviour(file: TidyFile): boolean {
  let found = false
  const visit = (node: ts.Node): void => {
    // A constructor that only keeps its arguments, as error classes have, is a declaration.
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined)
      found ||= !ts.isConstructorDeclaration(node)
    ts.forEachChild(node, visit)
  }
  visit(parse(file))
  return found
}

/** All rules. */
export const RULES: readonly TidyRule[] = [
  {
    name: 'a source file with behaviour has a test file that imports it',
    appliesTo: isSource,
    find: findMissingTest,
    planted: { path: 'src/sync/planted.ts', text: 'export const twice = (n: number) => n * 2\n' }
  },
  {
    name: 'a source file begins with a module comment',
    appliesTo: isProduct,
    find: file =>
      /^(#!.*\n)?\/\*\*[^]*?@module\s*\*\//.test(file.text) ? [] : ['no @module comment'],
    planted: { path: 'src/sync/planted.ts', text: '// A line.\nexport const ONE = 1\n' }
  },
  {
    name: 'a test file begins with a comment that says what it shows',
    appliesTo: isTest,
    find: file => (/^(#!.*\n)?\/\*\*[^]*?\*\//.test(file.text) ? [] : ['no opening comment']),
    planted: { path: 'test/sync/planted.test.ts', text: "import t from 'tap'\n" }
  },
  {
    name: 'no notes to self: finish it, or write an issue',
    appliesTo: isCode,
    find: file => matches(file, /\b(TODO|FIXME|XXX)\b/),
    planted: { path: 'src/sync/planted.ts', text: '// TODO: later\n' }
  },
  {
    name: 'a file is named after its main symbol, in kebab case',
    appliesTo: path => isCode(path) && !path.startsWith('types/'),
    find: findBadName,
    planted: { path: 'src/sync/utils.ts', text: '' }
  },
  {
    name: 'src/sync and src/crypto take time, dice, disk and network as arguments',
    appliesTo: path => isPure(path) && !(path in IMPURE),
    find: findImpurity,
    planted: { path: 'src/sync/planted.ts', text: 'export const now = () => Date.now()\n' }
  },
  {
    name: 'no way around a check',
    appliesTo: isCode,
    find: file => matches(file, /(es|ox)lint-disable|@ts-(ignore|nocheck)|(c8|v8|istanbul) ignore/),
    planted: { path: 'src/sync/planted.ts', text: '// @ts-ignore\n' }
  },
  {
    // Where a condition skips a test, the runner counts it and .ci/run shows the count.
    name: 'no test is skipped without a condition, put off or run alone',
    appliesTo: path => isTest(path) && path !== SELF,
    find: file =>
      matches(
        file,
        /\bt\.(skip|todo|only)\(|,\s*\{\s*skip\s*:\s*(true|['"`])|\{\s*(todo|only)\s*:/
      ),
    planted: { path: 'test/sync/planted.test.ts', text: "t.test('x', { skip: true }, f)\n" }
  },
  {
    name: 'no path of one machine',
    appliesTo: path => path !== SELF,
    find: file => matches(file, /(?<![\w.~*)}\]])\/(work|root|tmp|home)\/[\w.$-]/),
    planted: { path: 'README.md', text: 'cd /home/ann\n' }
  }
]

function findMissingTest(file: TidyFile, exists: (path: string) => boolean): string[] {
  if (!hasBehaviour(file)) return []
  const test = TESTED_ELSEWHERE[file.path]?.test ?? testPathOf(file.path)
  return exists(test) ? [] : [`write ${test}`]
}

function findBadName(file: TidyFile): string[] {
  if (NAMES_BANNED.test(file.path)) return ['name it after its main symbol']
  const name = file.path.slice(file.path.lastIndexOf('/') + 1)
  return /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|d|pure))?\.[a-z]+$/.test(name) ? [] : ['use kebab case']
}

/** Looks at the syntax, not the text, so that comments and strings may say the words. */
function findImpurity(file: TidyFile): string[] {
  const source = parse(file)
  const found: string[] = []
  const at = (node: ts.Node, what: string): void => {
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
    found.push(`line ${line}: ${what}`)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !isMemberName(node)) {
      const instead = Object.hasOwn(BANNED_GLOBALS, node.text)
        ? BANNED_GLOBALS[node.text]
        : undefined
      if (instead !== undefined) at(node, `${node.text}: ${instead}`)
    }
    if (ts.isPropertyAccessExpression(node) && node.getText(source) === 'Math.random')
      at(node, 'Math.random: pass a Random')
    if (ts.isStringLiteral(node) && node.text.startsWith('node:'))
      at(node, `${node.text}: take it as an argument`)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

/** Whether an identifier only names a member, as `process` does in `entry.process`. */
function isMemberName(node: ts.Identifier): boolean {
  const parent = node.parent
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  if (ts.isQualifiedName(parent)) return parent.right === node
  return (
    (ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isPropertyAssignment(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isMethodDeclaration(parent)) &&
    parent.name === node
  )
}

function matches(file: TidyFile, pattern: RegExp): string[] {
  return file.text
    .split('\n')
    .flatMap((line, index) => (pattern.test(line) ? [`line ${index + 1}: ${line.trim()}`] : []))
}

function parse(file: TidyFile): ts.SourceFile {
  return ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ES2023, true)
}
