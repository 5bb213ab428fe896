/**
 * The oracle itself: one device equals a POSIX tree; several devices lose nothing, agree in
 * whatever order they learn, and make neither cycles nor orphans; what two devices do at once
 * gives the tree that a person would expect; and a broken rule is noticed by one of these.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { NAME_BYTES_MAX, type Name } from '../../src/sync/operation.ts'
import {
  childAt,
  listAll,
  randomCommand,
  writeAll,
  type Command,
  type Path
} from '../support/model-command.ts'
import {
  historyOf,
  makeDevices,
  problemsOf,
  randomHistory,
  type History
} from '../support/model-check.ts'
import type { ModelDevice } from '../support/model-device.ts'
import { conflictName } from '../support/model-name.ts'
import {
  dump,
  MUTATIONS,
  treeOf,
  type ModelEntry,
  type ModelNode,
  type ModelTree,
  type Mutation
} from '../support/model.ts'
import { posixText, PosixTree } from '../support/posix-tree.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 300
const COMMANDS = 25
const STEPS = 24
const ORDERS = 3

t.test(`one device is a POSIX tree, step by step (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = new SeededRandom(seed)
    const [device] = makeDevices(1)
    const posix = new PosixTree()
    let number = 0
    for (let i = 0; i < COMMANDS; i++) {
      const command = device && randomCommand(device.tree, { random, next: () => ++number })
      if (!command) continue
      device.execute(command)
      posix.execute(command)
      assert.equal(posixText(device.tree), posix.dump(), `seed ${seed}, command ${i}`)
      if (random.integer(3) === 0) device.commit()
    }
  }
})

t.test(`three devices lose nothing and agree (${RUNS} histories)`, async t => {
  let conflicts = 0
  for (let seed = 1; seed <= RUNS; seed++) {
    const history = randomHistory({ seed, deviceCount: 3, steps: STEPS })
    assert.deepEqual(problemsIn(history), [], `seed ${seed}`)
    conflicts += listAll(treeOf(history.entries)).filter(({ child }) => child.isGenerated).length
  }
  t.ok(conflicts > RUNS / 10, `${conflicts} conflicts were met`)
})

t.test('a part of a history is the tree of what can be merged of it', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { entries } = randomHistory({ seed, deviceCount: 3, steps: STEPS })
    const random = new SeededRandom(seed)
    const missing = entries[random.integer(entries.length)]
    const rest = entries.filter(entry => entry !== missing)
    const closed = rest.filter(entry => missing && !dependsOn(entry, missing))
    assert.equal(dump(treeOf(rest)), dump(treeOf(closed)), `seed ${seed}`)
    assert.equal(dump(treeOf([...entries, ...entries])), dump(treeOf(entries)), `seed ${seed}`)
  }
})

t.test('an entry whose lamport is not one more than what it saw is refused', async t => {
  const { entries } = run({
    setup: [create('f')],
    first: [write('f', '1')],
    second: [mkdir('d')]
  })
  const last = entries.at(-1)
  assert(last)
  for (const lamport of [last.lamport - 1, last.lamport + 1, Number.MAX_SAFE_INTEGER + 1]) {
    const forged = [...entries.slice(0, -1), { ...last, lamport }]
    t.equal(dump(treeOf(forged)), dump(treeOf(entries.slice(0, -1))))
  }
})

const TIME = { sec: 1_700_000_000, nsec: 0 }

const path = (text: string): Path => text.split('/') as Name[]
const create = (name: string): Command => {
  return { type: 'create', path: path(name), kind: 'file', mode: 0o644, time: TIME }
}
const mkdir = (name: string): Command => {
  return { type: 'mkdir', path: path(name), mode: 0o755, time: TIME }
}
const write = (name: string, text: string): Command => writeAll(path(name), text, TIME)
const append = (name: string): Command => {
  const bytes = Buffer.from('+')
  const pieces = [{ kind: 'inline' as const, offset: name.length, bytes }]
  return { type: 'write', path: path(name), pieces, size: name.length + 1, time: TIME }
}
const truncate = (name: string): Command => {
  return { type: 'truncate', path: path(name), size: 0, time: TIME }
}
const unlink = (name: string): Command => ({ type: 'unlink', path: path(name), time: TIME })
const rmdir = (name: string): Command => ({ type: 'rmdir', path: path(name), time: TIME })
const chmod = (name: string, mode: number): Command => {
  return { type: 'setattr', path: path(name), mode, time: TIME }
}
const link = (from: string, to: string): Command => {
  return { type: 'link', from: path(from), to: path(to), time: TIME }
}
const rename = (from: string, to: string): Command => {
  return { type: 'rename', from: path(from), to: path(to), time: TIME }
}
const exchange = (from: string, to: string): Command => {
  return { type: 'exchange', from: path(from), to: path(to), time: TIME }
}

/** The conflict name that scenarios generate for `f`. */
const generated = (attempt: number): string =>
  conflictName('f' as Name, { device: 'device 2', time: TIME }, attempt)

/** What two devices do at once to the same tree, and what is there afterwards. */
interface Scenario {
  readonly name: string
  readonly setup?: readonly Command[]
  readonly first: readonly Command[]
  readonly second: readonly Command[]
  /** One line for each file and empty directory; `*` stands for what a conflict name adds. */
  readonly expected: readonly string[]
}

const FILE = [create('f'), write('f', '0')]
const LINKED = [...FILE, link('f', 'g')]

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'two edits: the first keeps the name, the second is beside it',
    setup: FILE,
    first: [write('f', '1')],
    second: [write('f', '2')],
    expected: ['f: 1', 'f*: 2']
  },
  {
    name: 'twenty edits of a branch are one conflict copy',
    setup: FILE,
    first: [write('f', '1')],
    second: Array.from({ length: 20 }, (_, i) => write('f', `2.${i}`)),
    expected: ['f: 1', 'f*: 2.19']
  },
  {
    name: 'an edit and a truncate',
    setup: FILE,
    first: [truncate('f')],
    second: [write('f', '2')],
    expected: ['f: ', 'f*: 2']
  },
  {
    name: 'an edit beats a removal',
    setup: FILE,
    first: [unlink('f')],
    second: [write('f', '2')],
    expected: ['f: 2']
  },
  {
    name: 'an edit beats an edit and a removal',
    setup: FILE,
    first: [write('f', '1'), unlink('f')],
    second: [write('f', '2')],
    expected: ['f: 2']
  },
  {
    name: 'a removed branch stays removed',
    setup: FILE,
    first: [write('f', '1')],
    second: [write('f', '2'), unlink('f')],
    expected: ['f: 1']
  },
  {
    name: 'a rename beats a removal',
    setup: FILE,
    first: [unlink('f')],
    second: [rename('f', 'g')],
    expected: ['g: 0']
  },
  {
    name: 'an attribute does not beat a removal',
    setup: FILE,
    first: [unlink('f')],
    second: [chmod('f', 0o600)],
    expected: []
  },
  {
    name: 'an edit follows a rename',
    setup: FILE,
    first: [write('f', '1')],
    second: [rename('f', 'g')],
    expected: ['g: 1']
  },
  {
    name: 'of two renames the later in order counts',
    setup: FILE,
    first: [rename('f', 'g')],
    second: [rename('f', 'h')],
    expected: ['h: 0']
  },
  {
    name: 'a rename takes the bytes along that its author saw',
    setup: FILE,
    first: [write('f', '1')],
    second: [write('f', '2'), rename('f', 'g')],
    expected: ['f: 1', 'g: 2']
  },
  {
    name: 'a branch follows the rename of the file it is beside',
    setup: FILE,
    first: [write('f', '1'), rename('f', 'g')],
    second: [write('f', '2')],
    expected: ['g: 1', 'g*: 2']
  },
  {
    name: 'an edit of a file that is replaced',
    setup: [...FILE, create('n'), write('n', 'new')],
    first: [rename('n', 'f')],
    second: [write('f', '2')],
    expected: ['f: 2', 'f*: new']
  },
  {
    name: 'two files of one name',
    first: [create('f.txt'), write('f.txt', '1')],
    second: [create('f.txt'), write('f.txt', '2')],
    expected: ['f.txt: 1', 'f*.txt: 2']
  },
  {
    name: 'a file and a directory of one name',
    first: [create('f'), write('f', '1')],
    second: [mkdir('f')],
    expected: ['f*: 1', 'f/']
  },
  {
    name: 'a directory over a removed file that was edited',
    setup: FILE,
    first: [unlink('f'), mkdir('f')],
    second: [write('f', '2')],
    expected: ['f*: 2', 'f/']
  },
  {
    name: 'two directories of one name are one',
    first: [mkdir('d'), create('d/a'), create('d/c')],
    second: [mkdir('d'), create('d/b'), create('d/c'), write('d/c', '2')],
    expected: ['d/a: ', 'd/b: ', 'd/c: ', 'd/c*: 2']
  },
  {
    name: 'a directory removed and filled',
    setup: [mkdir('d'), mkdir('d/e')],
    first: [rmdir('d/e'), rmdir('d')],
    second: [create('d/e/f')],
    expected: ['d/e/f: ']
  },
  {
    name: 'a file moved into a removed directory',
    setup: [...FILE, mkdir('d')],
    first: [rmdir('d')],
    second: [rename('f', 'd/f')],
    expected: ['d/f: 0']
  },
  {
    name: 'directories moved into each other: the later move is skipped',
    setup: [mkdir('a'), mkdir('b')],
    first: [rename('a', 'b/a')],
    second: [rename('b', 'a/b')],
    expected: ['b/a/']
  },
  {
    name: 'a directory moved over one that is filled',
    setup: [mkdir('a'), create('a/x'), mkdir('b')],
    first: [rename('a', 'b')],
    second: [create('b/y')],
    expected: ['b*/x: ', 'b/y: ']
  },
  {
    name: 'a directory moved to where one is made',
    setup: [mkdir('a'), create('a/x')],
    first: [rename('a', 'b')],
    second: [mkdir('b'), create('b/y')],
    expected: ['b*/x: ', 'b/y: ']
  },
  {
    name: 'one of two names is removed while the file is edited: it is not revived there',
    setup: LINKED,
    first: [unlink('f')],
    second: [write('f', '2')],
    expected: ['g: 2']
  },
  {
    name: 'each of two names is removed by one who sees the other',
    setup: LINKED,
    first: [unlink('f')],
    second: [unlink('g')],
    expected: ['f: 0']
  },
  {
    name: 'both names are removed by one and one of them by the other',
    setup: LINKED,
    first: [unlink('f'), unlink('g')],
    second: [unlink('g')],
    expected: []
  },
  {
    name: 'a new name beats the removal of the old one',
    setup: FILE,
    first: [unlink('f')],
    second: [link('f', 'g')],
    expected: ['g: 0']
  },
  {
    name: 'a name that a user made beats a generated one',
    setup: [...FILE, create(generated(1)), write(generated(1), 'mine')],
    first: [write('f', '1')],
    second: [write('f', '2')],
    expected: ['f: 1', 'f*: mine', 'f* 2: 2']
  },
  {
    name: 'an exchange and an edit',
    setup: [...LINKED, create('n'), write('n', 'n')],
    first: [exchange('f', 'n')],
    second: [write('f', '2')],
    expected: ['f: n', 'g: 2', 'n: 2']
  }
]

for (const scenario of SCENARIOS) {
  t.test(scenario.name, async t => {
    const history = run(scenario)
    assert.deepEqual(problemsIn(history), [])
    t.same(linesOf(treeOf(history.entries)), scenario.expected.toSorted())
  })
}

t.test('a conflict copy is an ordinary file', async t => {
  const [first, second] = devicesAfter(FILE)
  first.execute(write('f', '1'))
  second.execute(write('f', '2'))
  first.merge(second)
  const copy = generated(1)
  t.same(linesOf(first.tree), ['f*: 2', 'f: 1'])
  first.execute(write(copy, '2 and more'))
  first.execute(chmod(copy, 0o600))
  first.execute(link(copy, 'l'))
  first.execute(rename(copy, 'mine'))
  t.same(linesOf(first.tree), ['f: 1', 'l: 2 and more', 'mine: 2 and more'])
  t.equal(childAt(first.tree, path('mine'))?.node.mode, 0o600)
  t.equal(childAt(first.tree, path('f'))?.node.mode, 0o644)
  first.execute(unlink('mine'))
  first.execute(unlink('l'))
  t.same(linesOf(first.tree), ['f: 1'])
  second.merge(first)
  t.equal(dump(second.tree), dump(first.tree))
})

t.test('an exchange swaps the places that its author saw', async t => {
  const [first, second] = devicesAfter([...FILE, mkdir('d'), create('d/n'), write('d/n', 'n')])
  first.execute(write('f', '1'))
  second.execute(write('f', '2'))
  first.merge(second)
  const copy = generated(1)
  first.execute(exchange(copy, 'd/n'))
  t.same(linesOf(first.tree), ['d/n: 2', 'f*: n', 'f: 1'])
  t.equal(childAt(first.tree, path(copy))?.isGenerated, false, 'the conflict name was given')
  second.execute(rename('d', 'e'))
  second.merge(first)
  first.merge(second)
  t.same(linesOf(second.tree), ['e/n: 2', 'f*: n', 'f: 1'])
  t.equal(dump(first.tree), dump(second.tree))
})

t.test('what removes or moves a name changes the directory that is shown', async t => {
  for (const change of [unlink('d/b'), rename('d/b', 'b')]) {
    const [first, second] = devicesAfter([])
    first.execute(mkdir('d'))
    second.execute(mkdir('d'))
    second.execute(create('d/b'))
    first.merge(second)
    const time = { sec: TIME.sec + 1, nsec: 0 }
    first.execute({ ...change, time })
    t.match(childAt(first.tree, path('d'))?.node, { mtime: time, ctime: time }, change.type)
  }
})

t.test('a file unlinked elsewhere while open here lives again when it is written', async t => {
  const [first, second] = devicesAfter(FILE)
  const open = childAt(second.tree, path('f'))
  const [inode] = open?.node.ids ?? []
  const [through] = open?.links ?? []
  const base = open?.node.version
  assert(inode && through && base)
  first.execute(unlink('f'))
  second.merge(first)
  t.same(linesOf(second.tree), [])
  const pieces = [{ kind: 'inline' as const, offset: 0, bytes: Buffer.from('2') }]
  second.record({ type: 'write', inode, through, base, pieces, size: 1, time: TIME }, TIME)
  t.same(linesOf(second.tree), ['f: 2'])
  second.execute(unlink('f'))
  t.same(linesOf(second.tree), [], 'and is gone when it is removed again')
})

t.test('all pairs of commands, on the same, a parent, a child and others', async t => {
  const setup = [
    ...[mkdir('p'), mkdir('p/d'), mkdir('p/d/s'), mkdir('e')],
    ...['p/f', 'p/d/g', 't'].flatMap(name => [create(name), write(name, name)])
  ]
  const commands = commandsFor(setup)
  const devices = commands.map(command => {
    const both = devicesAfter(setup)
    for (const device of both) device.execute(command)
    return { command, first: both[0], second: both[1] }
  })
  let pairs = 0
  for (const { first, command: one } of devices) {
    for (const { second, command: other } of devices) {
      const problems = problemsIn(historyOf([first, second]), 1)
      assert.deepEqual(problems, [], JSON.stringify([one, other]))
      pairs += 1
    }
  }
  t.ok(pairs > 1000, `${pairs} pairs`)
})

/** What one device does after it has seen what another one did. */
const AFTERWARDS: readonly {
  readonly name: string
  readonly entries: readonly ModelEntry[]
  readonly holds: (tree: ModelTree) => boolean
}[] = [directoriesMovedAsOne(), attributesChangedTwice()]

function directoriesMovedAsOne(): (typeof AFTERWARDS)[number] {
  const [first, second] = devicesAfter([])
  for (const [device, name] of [
    [first, 'd/a'],
    [second, 'd/b']
  ] as const) {
    device.execute(mkdir('d'))
    device.execute(create(name))
  }
  first.merge(second)
  first.execute(rename('d', 'e'))
  return {
    name: 'a rename of directories shown as one moves them all',
    entries: historyOf([first, second]).entries,
    holds: tree => linesOf(tree).join() === 'e/a: ,e/b: '
  }
}

function attributesChangedTwice(): (typeof AFTERWARDS)[number] {
  const [first, second] = devicesAfter([...FILE, chmod('f', 0o600)])
  second.execute(chmod('f', 0o640))
  return {
    name: 'the last change of attributes counts',
    entries: historyOf([first, second]).entries,
    holds: tree => childAt(tree, path('f'))?.node.mode === 0o640
  }
}

for (const { name, entries, holds } of AFTERWARDS)
  t.test(name, async t => {
    t.ok(holds(treeOf(entries)))
  })

t.test('every broken rule is noticed', async t => {
  const histories = SCENARIOS.map(scenario => ({ ...run(scenario), expected: scenario.expected }))
  const random = Array.from({ length: 60 }, (_, i) =>
    randomHistory({ seed: i + 1, deviceCount: 3, steps: STEPS })
  )
  for (const mutation of MUTATIONS) {
    const byScenario = histories.some(history => {
      const lines = linesOf(treeOf(history.entries, { mutation }))
      return lines.join() !== history.expected.toSorted().join()
    })
    const byOutcome = AFTERWARDS.some(({ entries, holds }) => !holds(treeOf(entries, { mutation })))
    const byCheck = random.some(history => problemsIn(history, ORDERS, mutation).length > 0)
    t.ok(byScenario || byOutcome || byCheck, mutation)
    if (byScenario && byCheck) t.comment(`${mutation}: by a scenario and by a check`)
  }
})

t.test('conflict names', async t => {
  const by = { device: 'Laptop', time: { sec: 1_763_670_000, nsec: 999_999_999 } }
  const date = '2025-11-20 20.20'
  const of = (name: string, attempt = 1): string => conflictName(name as Name, by, attempt)
  t.equal(of('report.pdf'), `report (conflict, Laptop, ${date}).pdf`)
  t.equal(of('report.pdf', 2), `report (conflict, Laptop, ${date}) 2.pdf`)
  t.equal(of('README'), `README (conflict, Laptop, ${date})`)
  t.equal(of('.bashrc'), `.bashrc (conflict, Laptop, ${date})`)
  t.equal(of('a.'), `a. (conflict, Laptop, ${date})`)
  t.equal(of('a.tar.gz'), `a.tar (conflict, Laptop, ${date}).gz`)
  t.equal(of(`a.${'x'.repeat(15)}`), `a (conflict, Laptop, ${date}).${'x'.repeat(15)}`)
  t.equal(of(`a.${'x'.repeat(16)}`), `a.${'x'.repeat(16)} (conflict, Laptop, ${date})`)

  const umlauts = Buffer.from('\u00e4'.repeat(127)).toString('latin1')
  for (const name of ['x'.repeat(255), `${umlauts}x`, `${umlauts.slice(0, 250)}.txt`]) {
    for (const attempt of [1, 2, 10]) {
      const made = of(name, attempt)
      t.ok(made.length <= NAME_BYTES_MAX && made.length > NAME_BYTES_MAX - 2, made)
      const bytes = Buffer.from(made, 'latin1')
      t.ok(bytes.equals(Buffer.from(bytes.toString('utf8'))), 'no character is cut')
    }
  }
  t.equal(of('\x80'.repeat(255)).length, NAME_BYTES_MAX, 'what is no UTF-8 is cut anywhere')

  const device = (device: string): string => conflictName('f' as Name, { ...by, device }, 1)
  t.equal(device(' a/b\0c\nd\u00e0 '), `f (conflict, a_b_c_d\xc3\xa0, ${date})`)
  t.equal(device('  '), `f (conflict, device, ${date})`)
  const long = Buffer.from(device('\u20ac'.repeat(100)), 'latin1').toString()
  t.equal(long, `f (conflict, ${'\u20ac'.repeat(21)}, ${date})`)
  const at = (sec: number): string =>
    conflictName('f' as Name, { ...by, time: { sec, nsec: 0 } }, 1)
  t.equal(at(-1), 'f (conflict, Laptop, 1969-12-31 23.59)')
  t.ok(at(Number.MAX_SAFE_INTEGER).length < 60, 'a wild clock gives a name all the same')
})

t.test('names of two devices of one name, in the same minute, are told apart', async t => {
  const devices = makeDevices(4)
  for (const device of devices) device.execute(create('f'))
  const [all, ...others] = devices
  assert(all)
  for (const device of others) all.merge(device)
  const same = all.entries.map(entry => ({ ...entry, device: 'Laptop' }))
  const { children } = treeOf(same)
  t.same(
    [...children.keys()],
    ['', ' 2', ' 3', undefined]
      .map(suffix => {
        const name = `f (conflict, Laptop, 2023-11-14 22.13)${suffix ?? ''}`
        return suffix === undefined ? 'f' : name
      })
      .toSorted()
  )
})

/** Problems of a history's outcome, in several orders of arrival. */
function problemsIn(history: History, orders = ORDERS, mutation?: Mutation): string[] {
  const options = mutation ? { mutation } : {}
  try {
    const tree = treeOf(history.entries, options)
    const problems = problemsOf(history, tree)
    const random = new SeededRandom(history.entries.length)
    for (let i = 0; i < orders; i++) {
      const entries = i === 0 ? history.entries.toReversed() : shuffled(history.entries, random)
      if (dump(treeOf(entries, options)) !== dump(tree))
        problems.push('another order, another tree')
    }
    return problems
  } catch (error) {
    return [String(error)]
  }
}

function dependsOn(entry: ModelEntry, cause: ModelEntry): boolean {
  if (entry.log === cause.log) return entry.index >= cause.index
  return (entry.heads.get(cause.log) ?? 0) > cause.index
}

function shuffled<T>(values: readonly T[], random: SeededRandom): T[] {
  const left = [...values]
  const drawn: T[] = []
  while (left.length > 0) drawn.push(...left.splice(random.integer(left.length), 1))
  return drawn
}

/** Two devices that know what a third did first. */
function devicesAfter(setup: readonly Command[]): [ModelDevice, ModelDevice] {
  const [first, second, author] = makeDevices(3)
  assert(first && second && author)
  for (const command of setup) author.execute(command)
  first.merge(author)
  second.merge(author)
  return [first, second]
}

function run(scenario: Pick<Scenario, 'setup' | 'first' | 'second'>): History {
  const [first, second] = devicesAfter(scenario.setup ?? [])
  for (const command of scenario.first) first.execute(command)
  for (const command of scenario.second) second.execute(command)
  first.merge(second)
  return historyOf([first, second])
}

/** Every command of each type that can be done after `setup`, some names many times. */
function commandsFor(setup: readonly Command[]): Command[] {
  const [device] = devicesAfter(setup)
  const all = listAll(device.tree).map(({ path, child }) => ({
    name: path.join('/'),
    isDirectory: child.node.kind === 'directory',
    isEmpty: child.node.children.size === 0
  }))
  const files = all.filter(({ isDirectory }) => !isDirectory).map(({ name }) => name)
  const directories = all.filter(({ isDirectory }) => isDirectory).map(({ name }) => name)
  const empty = all.filter(({ isDirectory, isEmpty }) => isDirectory && isEmpty)
  const places = ['', ...directories.map(name => `${name}/`)]
  return [
    ...places.flatMap(place => [create(`${place}n`), mkdir(`${place}n`)]),
    ...files.flatMap(name => [write(name, 'w'), append(name), truncate(name), unlink(name)]),
    ...files.map(name => link(name, 'e/n')),
    ...files.map(name => chmod(name, 0o600)),
    ...empty.map(({ name }) => rmdir(name)),
    ...all.map(({ name }) => rename(name, 'n')),
    ...[rename('p', 'e/n'), rename('e', 'p/n'), rename('p/d', 'e/n'), rename('e', 'p/d/s/n')],
    ...[rename('p/f', 't'), rename('t', 'p/f'), rename('p/d/g', 't'), rename('e', 'p/d/s')],
    ...[exchange('p/f', 't'), exchange('p', 'e'), exchange('p/d', 't'), exchange('e', 'p/d/g')]
  ]
}

/** A tree as a list of files and empty directories. */
function linesOf(node: ModelNode, parent = ''): string[] {
  return [...node.children]
    .flatMap(([name, child]) => {
      const own = parent + name.replace(/ \(conflict, device \d, [-\d]+ [.\d]+\)/, '*')
      if (child.node.kind !== 'directory') return [`${own}: ${textOf(child.node)}`]
      if (child.node.children.size === 0) return [`${own}/`]
      return linesOf(child.node, `${own}/`)
    })
    .toSorted()
}

function textOf(node: ModelNode): string {
  return node.content
    .map(run => (run.kind === 'inline' ? Buffer.from(run.bytes).toString() : '?'))
    .join('')
}
