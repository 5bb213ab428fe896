/**
 * The repository keeps the house rules of `rules.ts`, and each rule finds its planted violation.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, posix, relative, resolve, sep } from 'node:path'
import t from 'tap'
import { hasBehaviour, RULES, TESTED_ELSEWHERE, testPathOf, type TidyFile } from './rules.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const ROOMS = ['src', 'bin', 'test', 'bench', 'scripts', 'types', '.ci']
const ROOT_FILES = ['package.json', 'tsconfig.json', 'README.md']
/** How the rules of dependency-rules.cjs that name a home are called. */
const HOME_RULE = 'home-of-'
const GENERATED = /(^|\/)(node_modules|build|dist|golden)(\/|$)|\.(node|o|bin)$/

const files = readRepository()
const byPath = new Map(files.map(file => [file.path, file]))

t.test('each rule finds its planted violation', async t => {
  for (const rule of RULES) {
    const { planted } = rule
    t.ok(rule.appliesTo(planted.path), `${rule.name}: looks at ${planted.path}`)
    t.not(rule.find(planted, () => false).length, 0, `${rule.name}: fires`)
  }
})

t.test('the repository is really read', async t => {
  for (const path of ['src/sync/operation.ts', 'test/tidy/tidy.test.ts', 'package.json'])
    t.ok(byPath.has(path), path)
})

for (const rule of RULES)
  t.test(rule.name, async t => {
    const found = files
      .filter(file => rule.appliesTo(file.path))
      .flatMap(file =>
        rule.find(file, path => byPath.has(path)).map(what => `${file.path}: ${what}`)
      )
    t.strictSame(found, [])
  })

t.test('a test file imports what it is named after, itself or through its support', async t => {
  for (const file of files) {
    if (!file.path.startsWith('src/') || !hasBehaviour(file)) continue
    const test = TESTED_ELSEWHERE[file.path]?.test ?? testPathOf(file.path)
    if (byPath.has(test)) t.ok(reaches(test, file.path), `${test} imports ${file.path}`)
  }
})

t.test('an exception to the rule of one test a file is still needed', async t => {
  for (const path of Object.keys(TESTED_ELSEWHERE)) {
    t.ok(byPath.has(path), `${path} exists`)
    t.notOk(byPath.has(testPathOf(path)), `${path} has no test of its own`)
  }
})

t.test('each dependency has a home that exists', async t => {
  const load = createRequire(import.meta.url)
  const { forbidden } = load('./dependency-rules.cjs') as {
    forbidden: { name: string; from: { pathNot?: string } }[]
  }
  const { dependencies, optionalDependencies } = load('../../package.json') as {
    dependencies: Record<string, string>
    optionalDependencies: Record<string, string>
  }
  const homes = forbidden.filter(rule => rule.name.startsWith(HOME_RULE))
  t.not(homes.length, 0, 'there are home rules')
  for (const { name, from } of homes) {
    const dependency = name.slice(HOME_RULE.length)
    t.ok({ ...dependencies, ...optionalDependencies }[dependency], `${dependency} is a dependency`)
    const home = new RegExp(from.pathNot ?? '')
    t.ok(
      files.some(file => home.test(file.path)),
      `${dependency} has its home at ${home.source}`
    )
  }
})

function readRepository(): TidyFile[] {
  const paths = ROOMS.flatMap(room => listFiles(join(ROOT, room)))
  return [...paths, ...ROOT_FILES.map(name => join(ROOT, name))]
    .map(path => ({ path: relative(ROOT, path).split(sep).join('/'), absolute: path }))
    .filter(({ path }) => !GENERATED.test(path))
    .map(({ path, absolute }) => ({ path, text: readFileSync(absolute, 'utf8') }))
}

/** Whether a test leads to a source file, following the imports of ours. */
function reaches(test: string, source: string): boolean {
  const seen = new Set([test])
  for (const path of seen) {
    if (path === source) return true
    const text = byPath.get(path)?.text ?? ''
    for (const [, target = ''] of text.matchAll(/'([\w./-]+\.ts)'/g))
      seen.add(posix.join(posix.dirname(path), target))
  }
  return false
}

function listFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? listFiles(path) : [path]
  })
}
