/**
 * A family derived from its history alone is what the oracle shows of it in the tree of everything:
 * in random histories of devices, and in histories that no file system would write but a device
 * could. A broken rule is noticed, and a long history is not slow.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import {
  deriveFamily,
  type Causality,
  type DerivedFile,
  type DerivedLink,
  type FamilyEvent
} from '../../src/sync/file-family.ts'
import { logKey } from '../../src/sync/log.ts'
import {
  ROOT_ID,
  type Name,
  type NodeKind,
  type Operation,
  type OperationId,
  type Piece
} from '../../src/sync/operation.ts'
import { historyOf, makeDevices, randomHistory } from '../support/model-check.ts'
import { listAll } from '../support/model-command.ts'
import type { ModelDevice } from '../support/model-device.ts'
import {
  compareOperations,
  deliver,
  keyOf,
  saw,
  type ModelOperation
} from '../support/model-entry.ts'
import { conflictName } from '../support/model-name.ts'
import {
  MUTATIONS,
  treeOf,
  type ModelEntry,
  type ModelNode,
  type ModelTree,
  type Mutation
} from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const RUNS = 250
const STEPS = 30
const ATTEMPTS_MAX = 50

/** The families of a set of entries, and what their operations know of each other. */
class Families {
  readonly causality: Causality
  readonly histories = new Map<string, FamilyEvent[]>()
  readonly #operations: ReadonlyMap<string, ModelOperation>
  /** The family of each version and link. */
  readonly #familyOf = new Map<string, string>()
  readonly #directories = new Set<string>()

  constructor(entries: readonly ModelEntry[]) {
    const delivered = deliver(entries)
    this.#operations = new Map(delivered.map(made => [made.key, made]))
    this.causality = {
      saw: (later, earlier) => saw(this.get(later), this.get(earlier)),
      compare: (left, right) => compareOperations(this.get(left), this.get(right))
    }
    for (const made of delivered) this.#add(made)
  }

  get(id: OperationId): ModelOperation {
    const made = this.#operations.get(keyOf(id))
    assert(made, 'only operations of the history are asked for')
    return made
  }

  derive(random?: SeededRandom): DerivedFile[] {
    return [...this.histories.values()].flatMap(history => {
      const given = random ? shuffled(history, random) : history
      return [...deriveFamily(given, this.causality)]
    })
  }

  #add({ id, key, operation }: ModelOperation): void {
    const isSeen = (directory: OperationId): boolean =>
      keyOf(directory) === keyOf(ROOT_ID) ||
      (this.#directories.has(keyOf(directory)) && this.causality.saw(id, directory))
    if (!directoriesOf(operation).every(isSeen)) return
    if (operation.type === 'mkdir') this.#directories.add(key)
    const isNew = operation.type === 'create'
    const named = isNew ? [key] : namedBy(operation).map(id => this.#familyOf.get(keyOf(id)))
    for (const family of new Set(named)) {
      if (family === undefined) continue
      if (['create', 'write', 'truncate', 'link'].includes(operation.type)) {
        this.#familyOf.set(key, family)
      }
      const history = this.histories.get(family) ?? []
      history.push({ id, operation })
      this.histories.set(family, history)
    }
  }
}

/** The directories without which an operation does nothing. */
function directoriesOf(operation: Operation): readonly OperationId[] {
  switch (operation.type) {
    case 'create':
    case 'mkdir':
    case 'link':
      return [operation.parent]
    case 'rename':
      return [operation.from, operation.parent]
    case 'exchange':
      return [operation.first.parent, operation.second.parent]
    default:
      return []
  }
}

/** The versions and links that say which families an operation touches. */
function namedBy(operation: Operation): readonly OperationId[] {
  switch (operation.type) {
    case 'link':
      return [operation.through]
    case 'unlink':
    case 'rmdir':
      return operation.links
    case 'rename':
      return [...operation.links, ...operation.replaced]
    case 'exchange':
      return [...operation.links, ...operation.others]
    default:
      return 'base' in operation ? [operation.base] : []
  }
}

/** @returns how the files of families differ from those of a tree; empty when they do not */
function differences(families: Families, files: readonly DerivedFile[], tree: ModelTree): string[] {
  const shown = new Map(
    files.filter(({ links }) => links.length > 0).map(file => [keyOf(file.first), file])
  )
  const nodes = nodesOf(tree)
  const problems = [...shown.keys()].filter(key => !nodes.has(key)).map(key => `gone: ${key}`)
  for (const [key, node] of nodes) {
    const file = shown.get(key)
    if (!file) problems.push(`missing: ${key}`)
    else problems.push(...differencesOf(file, node, families).map(text => `${key} ${text}`))
  }
  return [...problems, ...wrongNames(families, [...shown.values()], tree)]
}

function differencesOf(file: DerivedFile, node: ModelNode, families: Families): string[] {
  const { kind, rdev, target, mode, uid, gid, atime, mtime, ctime, size, tip } = file
  const own = { kind, rdev, target, mode, uid, gid, atime, mtime, ctime, size, version: tip }
  const problems = (Object.keys(own) as (keyof typeof own)[])
    .filter(field => JSON.stringify(own[field]) !== JSON.stringify(node[field]))
    .map(field => `${field}: ${JSON.stringify(own[field])}, not ${JSON.stringify(node[field])}`)
  const xattrs = [...file.xattrs].toSorted(([left], [right]) => (left < right ? -1 : 1))
  if (JSON.stringify(xattrs) !== JSON.stringify([...node.xattrs])) problems.push('xattrs')
  if (file.links.length !== node.nlink) problems.push(`nlink ${file.links.length}`)
  const lineage = file.lineage().map(({ id }) => keyOf(id))
  if (lineage.join() !== lineageOf(file.tip, families).join()) problems.push('lineage')
  const versions = file.versions.map(({ id }) => keyOf(id))
  const first = lineage.indexOf(keyOf(file.first))
  if (lineage.slice(first).join() !== versions.join()) problems.push('versions')
  return problems
}

/** A version and all it was made from, oldest first. */
function lineageOf(tip: OperationId, families: Families): string[] {
  const { operation } = families.get(tip)
  return [...('base' in operation ? lineageOf(operation.base, families) : []), keyOf(tip)]
}

function nodesOf(tree: ModelTree): Map<string, ModelNode> {
  const files = listAll(tree).filter(({ child }) => child.node.kind !== 'directory')
  return new Map(files.map(({ child }) => [child.node.ids.map(keyOf).join(), child.node]))
}

interface Claim {
  readonly link: DerivedLink
  readonly name: Name
  readonly isGenerated: boolean
}

/** Names are where the links say, and of several claims to one the right one has it. */
function wrongNames(families: Families, files: readonly DerivedFile[], tree: ModelTree): string[] {
  const links = new Map(files.flatMap(({ links }) => links).map(link => [keyOf(link.id), link]))
  const directories = [tree, ...listAll(tree).map(({ child }) => child.node)]
  const problems: string[] = []
  for (const directory of directories) {
    const claims: Claim[] = []
    for (const [name, { node, links: ids, isGenerated }] of directory.children) {
      if (node.kind === 'directory') continue
      const link = links.get(ids.map(keyOf).join())
      if (!link) problems.push(`no link ${ids.map(keyOf).join()}`)
      else if (!directory.ids.map(keyOf).includes(keyOf(link.parent))) problems.push('parent')
      else claims.push({ link, name, isGenerated })
    }
    problems.push(...wrongClaims(families, claims, directory))
  }
  return problems
}

function wrongClaims(
  families: Families,
  claims: readonly Claim[],
  { children }: ModelNode
): string[] {
  const { causality } = families
  const byOrder = (left: Claim, right: Claim): number =>
    causality.compare(left.link.by, right.link.by) || causality.compare(left.link.id, right.link.id)
  const ranked = claims.toSorted(
    (left, right) =>
      Number(left.link.isBeside) - Number(right.link.isBeside) || byOrder(left, right)
  )
  const taken = new Set<Name>()
  for (const [name, child] of children) {
    if (child.node.kind === 'directory' && !child.isGenerated) taken.add(name)
  }
  const problems: string[] = []
  for (const { link, name, isGenerated } of ranked) {
    if (isGenerated !== taken.has(link.name)) problems.push(`${name} for ${link.name}`)
    if (!isGenerated && name !== link.name) problems.push(`${name}, not ${link.name}`)
    taken.add(link.name)
  }
  const attempts = new Map<Name, number>()
  for (const { link, name } of claims.filter(({ isGenerated }) => isGenerated).toSorted(byOrder)) {
    const { entry } = families.get(link.by)
    const first = conflictName(link.name, entry, 1)
    let attempt = 1 + (attempts.get(first) ?? 0)
    while (attempt < ATTEMPTS_MAX && conflictName(link.name, entry, attempt) !== name) attempt++
    if (attempt === ATTEMPTS_MAX) problems.push(`${name} is no name for a copy of ${link.name}`)
    attempts.set(first, attempt)
  }
  return problems
}

function shuffled<T>(values: readonly T[], random: SeededRandom): T[] {
  const keyed = values.map(value => ({ value, key: random.integer(2 ** 32) }))
  return keyed.toSorted((left, right) => left.key - right.key).map(({ value }) => value)
}

t.test(`families of ${RUNS} random histories are what the oracle shows`, async t => {
  const seen = { branches: 0, revived: 0, beside: 0, gone: 0 }
  for (let seed = 1; seed <= RUNS; seed++) {
    const deviceCount = 2 + (seed % 3)
    const { entries } = randomHistory({ seed, deviceCount, steps: STEPS })
    const families = new Families(entries)
    const files = families.derive(new SeededRandom(seed))
    assert.deepEqual(differences(families, files, treeOf(entries)), [], `seed ${seed}`)
    count(seen, files)
  }
  for (const [what, times] of Object.entries(seen)) t.ok(times > RUNS / 10, `${what}: ${times}`)
})

t.test(`families of ${RUNS} histories that no file system writes`, async t => {
  const seen = { branches: 0, revived: 0, beside: 0, gone: 0 }
  for (let seed = 1; seed <= RUNS; seed++) {
    const entries = wildHistory(seed)
    const families = new Families(entries)
    const files = families.derive(new SeededRandom(seed))
    assert.deepEqual(differences(families, files, treeOf(entries)), [], `seed ${seed}`)
    count(seen, files)
  }
  for (const [what, times] of Object.entries(seen)) t.ok(times > RUNS / 10, `${what}: ${times}`)
})

function count(
  seen: { branches: number; revived: number; beside: number; gone: number },
  files: readonly DerivedFile[]
): void {
  const links = files.flatMap(({ links }) => links)
  seen.branches += files.filter(
    file => keyOf(file.first) !== keyOf(file.lineage()[0]?.id ?? file.tip)
  ).length
  seen.revived += links.filter(({ isNamed, isDerived }) => !isNamed && !isDerived).length
  seen.beside += links.filter(({ isBeside }) => isBeside).length
  seen.gone += files.filter(({ links }) => links.length === 0).length
}

/** Rules about directories alone. */
const OF_DIRECTORIES: readonly Mutation[] = [
  'dead directories are hidden',
  'directories move into themselves',
  'files come before directories',
  'made directories are apart',
  'moved directories join others',
  'renames move one of several directories'
]

for (const mutation of MUTATIONS.filter(name => !OF_DIRECTORIES.includes(name))) {
  t.test(`it is noticed when ${mutation}`, async t => {
    const isNoticed = Array.from({ length: RUNS }, (_, i) => i + 1).some(seed => {
      const { entries } = randomHistory({ seed, deviceCount: 3, steps: STEPS })
      const families = new Families(entries)
      return differences(families, families.derive(), treeOf(entries, { mutation })).length > 0
    })
    t.ok(isNoticed)
  })
}

// Operations on few files by devices that name whatever they have seen: any version as base (an
// open file), any link, links of several files at once, links that are gone.

const CONTENT = { sec: 1_700_000_000, nsec: 0 }
const WILD_STEPS = 40

function wildHistory(seed: number): readonly ModelEntry[] {
  const random = new SeededRandom(seed)
  const devices = makeDevices(3)
  const [first] = devices
  assert(first)
  for (const name of ['x', 'y'] as Name[]) {
    first.record({ type: 'mkdir', parent: ROOT_ID, name, ...OWNED, time: CONTENT }, CONTENT)
  }
  for (const name of ['a', 'b'] as Name[]) first.record(createOf(name), CONTENT)
  for (const device of devices.slice(1)) device.merge(first)
  for (let step = 0; step < WILD_STEPS; step++) {
    const device = pick(devices, random)
    if (random.integer(4) === 0) {
      const other = pick(devices, random)
      if (other !== device) device.merge(other)
    } else {
      const time = { sec: CONTENT.sec + step, nsec: 0 }
      for (let count = 1 + random.integer(2); count > 0; count--) {
        device.record(wildOperation(device, random, time), time)
      }
      device.commit()
    }
  }
  return historyOf(devices).entries
}

const OWNED = { mode: 0o755, uid: 0, gid: 0 }

function createOf(name: Name, parent = ROOT_ID, kind: NodeKind = 'file'): Operation {
  const target = new Uint8Array(kind === 'symlink' ? 3 : 0)
  const node = { kind, ...OWNED, rdev: 0, target, time: CONTENT }
  return { type: 'create', parent, name, ...node }
}

function wildOperation(
  device: ModelDevice,
  random: SeededRandom,
  time: { readonly sec: number; readonly nsec: number }
): Operation {
  const known = deliver(device.entries)
  const idsOf = (...types: readonly Operation['type'][]): OperationId[] =>
    known.filter(({ operation }) => types.includes(operation.type)).map(({ id }) => id)
  const families = new Families(device.entries)
  const family = pick([...families.histories.values()], random)
  const versions = family.filter(({ operation }) =>
    ['create', 'write', 'truncate'].includes(operation.type)
  )
  const base = pick(versions.slice(-3), random).id
  // Mostly what is a link: a name that was made, or the derived one of a branch.
  const links = [
    ...family.filter(({ operation }) => operation.type === 'link').map(({ id }) => id),
    ...deriveFamily(family, families.causality).map(({ first }) => first)
  ]
  const all = idsOf('create', 'link')
  const isStrange = random.integer(9) === 0
  const through = isStrange ? pick([base, ...all], random) : pick(links, random)
  // A version is no directory: nothing can be put there.
  const nowhere = random.integer(9) === 0 ? [base] : []
  const parent = pick([ROOT_ID, ...idsOf('mkdir'), ...nowhere], random)
  const name = pick(['a', 'b', 'c'] as Name[], random)
  const inode = base
  const size = random.integer(9)
  switch (random.integer(12)) {
    case 0:
      return createOf(name, parent, pick(['file', 'file', 'symlink'], random))
    case 1:
    case 2:
      return { type: 'link', inode, through, parent, name, time }
    case 3:
    case 4:
      return { type: 'unlink', parent, links: [through], time }
    case 5: {
      const replaced = random.integer(2) === 0 ? [pick(all, random)] : []
      return { type: 'rename', links: [through], from: parent, parent, name, replaced, time }
    }
    case 6: {
      const place = { parent: ROOT_ID, name: 'a' as Name }
      const others = [pick(all, random)]
      return {
        type: 'exchange',
        links: [through],
        first: place,
        others,
        second: { parent, name },
        time
      }
    }
    case 7:
      return { type: 'setattr', inode, base, uid: random.integer(99), time }
    case 8: {
      const value = random.bytes(2)
      return { type: 'setxattr', inode, base, name: `user.${name}` as Name, value, time }
    }
    case 9:
      return { type: 'removexattr', inode, base, name: `user.${name}` as Name, time }
    case 10:
      return { type: 'truncate', inode, through, base, size, time }
    default: {
      const pieces: Piece[] = [{ kind: 'hole', offset: 0, length: 1 + size }]
      return { type: 'write', inode, through, base, pieces, size: 1 + size, time }
    }
  }
}

function pick<T>(values: readonly T[], random: SeededRandom): T {
  const value = values[random.integer(values.length)]
  assert(value !== undefined)
  return value
}

t.test('a family without its create is nothing', async t => {
  const { causality, histories } = new Families(wildHistory(1))
  const history = [...histories.values()][0] ?? []
  const rest = history.filter(({ operation }) => operation.type !== 'create')
  t.ok(rest.length > 0)
  t.same(deriveFamily(rest, causality), [])
  t.same(deriveFamily([], causality), [])
})

const LINE = 20_000
const LOG = logKey('11'.repeat(32))
const OTHER_LOG = logKey('22'.repeat(32))

/**
 * A line of writes by one device, while another that saw every hundredth of them renames the file
 * and starts a branch there.
 */
function longHistory(length: number): { history: FamilyEvent[]; causality: Causality } {
  const history: FamilyEvent[] = []
  const id = (index: number, log = LOG): OperationId => ({ log, index, number: 0 })
  history.push({ id: id(0), operation: createOf('f' as Name) })
  const file = { inode: id(0), through: id(0), time: CONTENT }
  const piece: Piece = { kind: 'hole', offset: 0, length: 1 }
  for (let index = 1; index < length; index++) {
    const base = id(index - 1)
    history.push({
      id: id(index),
      operation: { type: 'write', ...file, base, pieces: [piece], size: 1 }
    })
  }
  const seenBy = (index: number): number => Math.min(length, 1 + index * 100)
  for (let index = 0; index < length / 100; index++) {
    const name = `f${index}` as Name
    const place = { from: ROOT_ID, parent: ROOT_ID, name, replaced: [] }
    const rename: Operation = { type: 'rename', links: [id(0)], ...place, time: CONTENT }
    const base = id(seenBy(index) - 1)
    const operation: Operation =
      index % 10 === 5 ? { type: 'truncate', ...file, base, size: 0 } : rename
    history.push({ id: id(index, OTHER_LOG), operation })
  }
  const lamport = ({ log, index }: OperationId): number =>
    log === LOG ? index : seenBy(index) + 0.5
  const causality: Causality = {
    saw: (later, earlier) =>
      later.log === earlier.log
        ? later.index > earlier.index
        : later.log === OTHER_LOG && seenBy(later.index) > earlier.index,
    compare: (left, right) => lamport(left) - lamport(right)
  }
  return { history, causality }
}

t.test(`a family of ${LINE} writes is not derived in quadratic time`, async t => {
  let asked = 0
  const { history, causality } = longHistory(LINE)
  const counting: Causality = {
    saw: (later, earlier) => (asked++, causality.saw(later, earlier)),
    compare: (left, right) => (asked++, causality.compare(left, right))
  }
  const files = deriveFamily(history, counting)
  t.equal(files[0]?.versions.length, LINE)
  t.ok(files.length > 1, `${files.length} files`)
  t.ok(asked < 30 * history.length, `${asked} questions about ${history.length} operations`)
})
