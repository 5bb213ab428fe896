/**
 * What is set on a directory holds for all below it, until something nearer says otherwise; the
 * strictest of several names counts; what does not parse counts as not set. A naive model, which
 * knows the tree as paths, says the same after random changes of it.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { O_RDWR } from '../../src/fs/vfs.ts'
import {
  effectiveLevels,
  parseLevel,
  XATTR_DURABILITY,
  XATTR_REDUNDANCY,
  XATTR_SITES,
  type KnownLevels,
  type LeveledTree,
  type Levels
} from '../../src/sync/effective-redundancy.ts'
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import { PATH_NAMES_MAX } from '../../src/sync/path-of.ts'
import { DEFAULT_DURABILITY, DEFAULT_REDUNDANCY } from '../../src/sync/redundancy.ts'
import type { Name } from '../../src/sync/operation.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { bytesOf, textOf, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const SEEDS = 12
const STEPS = 150

/** What is set, in the words of the model. */
interface Own {
  copies?: { copies: number; floor: number }
  sites?: number
  durability?: 'local' | 'peer' | 'level'
}

/** What a path leads to; two paths may lead to one. */
interface Node {
  readonly isDirectory: boolean
  readonly own: Own
}

/** The tree as paths, and levels by looking at each prefix of each. */
class PathModel {
  readonly nodes = new Map<string, Node>([['', { isDirectory: true, own: {} }]])

  levelsOf(path: string): Levels {
    const node = this.nodes.get(path)
    if (node?.isDirectory === true) return this.#at(path)
    const all = [...this.nodes].filter(([, other]) => other === node).map(([at]) => this.#at(at))
    const most = (of: (levels: Levels) => number): number => Math.max(...all.map(of))
    const order = ['local', 'peer', 'level'] as const
    return {
      redundancy: {
        copies: most(({ redundancy }) => redundancy.copies),
        floor: most(({ redundancy }) => redundancy.floor),
        sites: most(({ redundancy }) => redundancy.sites)
      },
      durability: order[most(({ durability }) => order.indexOf(durability))] ?? 'local'
    }
  }

  move(from: string, to: string): void {
    for (const [path, node] of [...this.nodes]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      this.nodes.delete(path)
      this.nodes.set(to + path.slice(from.length), node)
    }
  }

  #at(path: string): Levels {
    const names = path === '' ? [] : path.split('/')
    const found: Own = {}
    for (let length = names.length; length >= 0; length--) {
      const own = this.nodes.get(names.slice(0, length).join('/'))?.own ?? {}
      found.copies ??= own.copies as Required<Own>['copies']
      found.sites ??= own.sites as number
      found.durability ??= own.durability as Required<Own>['durability']
    }
    const { copies, floor, sites } = DEFAULT_REDUNDANCY
    return {
      redundancy: { ...(found.copies ?? { copies, floor }), sites: found.sites ?? sites },
      durability: found.durability ?? DEFAULT_DURABILITY
    }
  }
}

/** A drive and its model, changed at random. */
class Pair {
  readonly session: VfsSession
  readonly model = new PathModel()
  readonly #drive: MemoryDrive
  readonly #random: SeededRandom
  #names = 0

  constructor(drive: MemoryDrive, random: SeededRandom) {
    this.#drive = drive
    this.#random = random
    this.session = new VfsSession(drive.vfs)
  }

  async step(): Promise<void> {
    const { session, model } = this
    const { vfs } = session
    const path = this.#pick(() => true)
    const parent = this.#pick(({ isDirectory }) => isDirectory)
    const fresh = `${parent === '' ? '' : `${parent}/`}n${this.#names++}`
    const node = model.nodes.get(path)
    switch (this.#random.integer(8)) {
      case 0:
        session.mkdir(fresh)
        model.nodes.set(fresh, { isDirectory: true, own: {} })
        return
      case 1:
        await session.writeFile(fresh, 'content')
        model.nodes.set(fresh, { isDirectory: false, own: {} })
        return
      case 2:
        if (node === undefined || node.isDirectory) return
        vfs.link(session.ino(path), session.place(fresh))
        model.nodes.set(fresh, node)
        return
      case 3:
        if (path === '' || parent === path || parent.startsWith(`${path}/`)) return
        vfs.rename(session.place(path), session.place(fresh), 'replace')
        model.move(path, fresh)
        return
      case 4:
        if (node === undefined || node.isDirectory) return
        vfs.unlink(session.place(path))
        model.nodes.delete(path)
        return
      default:
        this.#set(path)
    }
  }

  #set(path: string): void {
    const own = this.model.nodes.get(path)?.own
    if (own === undefined) return
    const number = 1 + this.#random.integer(4)
    const copies = { copies: number + 1, floor: 1 + this.#random.integer(number) }
    const durability = (['local', 'peer', 'level'] as const)[number % 3] ?? 'local'
    const settings = [
      [XATTR_REDUNDANCY, 'copies', copies, `${copies.copies}/${copies.floor}`],
      [XATTR_SITES, 'sites', number, String(number)],
      [XATTR_DURABILITY, 'durability', durability, durability]
    ] as const
    const [name, key, value, text] = settings[this.#random.integer(3)] ?? settings[0]
    const { vfs } = this.session
    switch (this.#random.integer(4)) {
      case 0:
        if (own[key] !== undefined) vfs.removexattr(this.session.ino(path), name)
        delete own[key]
        return
      case 1:
        setUnchecked(this.#drive, this.session.ino(path), name, 'of a newer grove')
        delete own[key]
        return
      default:
        vfs.setxattr(this.session.ino(path), name, bytesOf(text), 'set')
        Object.assign(own, { [key]: value })
    }
  }

  #pick(isWanted: (node: Node) => boolean): string {
    const paths = [...this.model.nodes].filter(([, node]) => isWanted(node)).map(([path]) => path)
    return paths[this.#random.integer(paths.length)] ?? ''
  }
}

/** Sets what the file system of this version would refuse. */
function setUnchecked(drive: MemoryDrive, ino: number, name: Name, text: string): void {
  const { id: inode, version: base } = drive.replica.index.inode(ino)
  const time = drive.clock.now()
  drive.replica.execute({ type: 'setxattr', inode, base, name, value: bytesOf(text), time })
}

function levelsAt(drive: MemoryDrive, path: string, known?: KnownLevels): Levels {
  const { index } = drive.replica
  return effectiveLevels(index, index.inode(new VfsSession(drive.vfs).ino(path)), known)
}

t.test(`it says what the naive model says, after each of ${STEPS} random changes`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const drive = await MemoryDrive.create()
    const pair = new Pair(drive, new SeededRandom(seed))
    for (let step = 0; step < STEPS; step++) {
      await pair.step()
      const known: KnownLevels = new Map()
      for (const path of pair.model.nodes.keys()) {
        const expected = pair.model.levelsOf(path)
        const where = `seed ${seed}, step ${step}: /${path}`
        assert.deepEqual(levelsAt(drive, path), expected, where)
        assert.deepEqual(levelsAt(drive, path, known), expected, `${where}, with what is known`)
      }
    }
    await drive.close()
  }
})

t.test('parseLevel() takes what a person writes, and nothing else', async t => {
  const parse = (name: Name, text: string) => parseLevel(name, bytesOf(text))
  t.strictSame(parse(XATTR_REDUNDANCY, '3'), { copies: { copies: 3, floor: 2 } })
  t.strictSame(parse(XATTR_REDUNDANCY, '64/64'), { copies: { copies: 64, floor: 64 } })
  t.strictSame(parse(XATTR_SITES, '2'), { sites: 2 })
  t.strictSame(parse(XATTR_DURABILITY, 'peer'), { durability: 'peer' })
  const refused: [Name, string][] = [
    ...['', '0', '3/4', '65', '3\n', '3\0', ' 3', '3/', '+3', '3'.repeat(70_000)].map(
      (text): [Name, string] => [XATTR_REDUNDANCY, text]
    ),
    [XATTR_SITES, '2/1'],
    [XATTR_SITES, ''],
    [XATTR_DURABILITY, 'Peer'],
    [XATTR_DURABILITY, 'peer\0'],
    ['user.grove.copies' as Name, '3'],
    ['user.redundancy' as Name, '3']
  ]
  for (const [name, text] of refused)
    t.equal(parse(name, text), undefined, `${name}=${JSON.stringify(text.slice(0, 9))}`)
})

t.test('a file without a name counts from itself only', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  session.mkdir('d')
  drive.vfs.setxattr(session.ino('d'), XATTR_REDUNDANCY, bytesOf('5/3'), 'set')
  drive.vfs.setxattr(session.ino('d'), XATTR_SITES, bytesOf('2'), 'set')
  const handle = session.create('d/f', O_RDWR)
  const ino = session.ino('d/f')
  t.strictSame(drive.replica.redundancyOf(ino), { copies: 5, floor: 3, sites: 2 })
  drive.vfs.setxattr(ino, XATTR_REDUNDANCY, bytesOf('4'), 'set')
  t.strictSame(drive.replica.redundancyOf(ino), { copies: 4, floor: 3, sites: 2 })
  drive.vfs.unlink(session.place('d/f'))
  t.strictSame(drive.replica.redundancyOf(ino), { copies: 4, floor: 3, sites: 1 })
  await session.close(handle)
  t.throws(() => drive.replica.redundancyOf(ino), { code: 'MISSING' })
  t.throws(() => drive.replica.durabilityOf(ino), { code: 'MISSING' })
  await drive.close()
})

t.test('directories shown as one have what is shown of them, conflict copies too', async t => {
  const clock = new VirtualClock()
  const laptop = await MemoryDrive.create({ clock, device: 'laptop' })
  const phone = await MemoryDrive.create({ clock, device: 'phone' })
  const here = new VfsSession(laptop.vfs)
  const there = new VfsSession(phone.vfs)
  for (const session of [here, there]) {
    session.mkdir('d')
    await session.writeFile('d/same', session === here ? 'here' : 'there')
  }
  await here.writeFile('d/here', 'x')
  await there.writeFile('d/there', 'x')
  laptop.vfs.setxattr(here.ino('d'), XATTR_REDUNDANCY, bytesOf('4/2'), 'set')
  phone.vfs.setxattr(there.ino('d'), XATTR_REDUNDANCY, bytesOf('5/1'), 'set')
  await laptop.catchUpWith(phone)
  await phone.catchUpWith(laptop)
  const names = here.names('d')
  t.equal(names.length, 4, names.join())
  for (const drive of [laptop, phone]) {
    const session = new VfsSession(drive.vfs)
    const value = textOf(await drive.vfs.getxattr(session.ino('d'), XATTR_REDUNDANCY))
    const [copies, floor] = value.split('/').map(Number)
    for (const path of ['d', ...names.map(name => `d/${name}`)]) {
      t.match(levelsAt(drive, path).redundancy, { copies, floor }, `${drive.device}: ${path}`)
    }
  }
  await laptop.close()
  await phone.close()
})

t.test('a damaged index that leads in circles, or nowhere, ends', async t => {
  const directory = (ino: number, parent: number): InodeRecord =>
    ({ ino, kind: 'directory', xattrs: ino === 3 ? 1 : 0, links: [{ parent }] }) as never
  const rows = new Map([
    [2, directory(2, 3)],
    [3, directory(3, 2)],
    [4, directory(4, 99)]
  ])
  let reads = 0
  const tree: LeveledTree = {
    findInode: ino => {
      reads++
      return rows.get(ino)
    },
    xattr: (ino, name) =>
      ino === 3 && name === XATTR_SITES ? { name, value: bytesOf('7') } : undefined
  }
  const levelsOf = (ino: number) => effectiveLevels(tree, directory(ino, rows.get(ino) ? 2 : 0))
  t.equal(levelsOf(2).redundancy.sites, 7)
  t.ok(reads <= PATH_NAMES_MAX, `${reads} reads`)
  t.strictSame(levelsOf(4), { redundancy: DEFAULT_REDUNDANCY, durability: DEFAULT_DURABILITY })
})
