/**
 * Which blocks files use and how many copies of each are wanted, against a naive count; what is
 * asked for twice counts as the strictest; and a scan gives way often, on trees and files of any
 * size, while they change.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { O_RDWR } from '../../src/fs/vfs.ts'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { hasBit, indexesOf, WINDOW_BLOCKS } from '../../src/sync/block-bitmap.ts'
import {
  blocksOf,
  filesOf,
  INODES_PER_STEP,
  REGIONS_PER_STEP,
  scanContentNeeds,
  type NeededBlocks
} from '../../src/sync/content-needs.ts'
import { XATTR_REDUNDANCY, XATTR_SITES } from '../../src/sync/effective-redundancy.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import {
  ROOT_ID,
  type BlockPiece,
  type Name,
  type Operation,
  type OperationId
} from '../../src/sync/operation.ts'
import { redundancyKey, type Redundancy } from '../../src/sync/redundancy.ts'
import { REGION_BYTES } from '../../src/sync/region.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from '../support/bytes.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { NONE_OPEN, openIndex } from '../support/memory-index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { bytesOf, patternBytes, VfsSession } from '../support/vfs-session.ts'

const [LOG, FIRST, SECOND] = ['aa', 'bb', 'cc'].map(digits => logKey(digits.repeat(32))) as [
  LogKey,
  LogKey,
  LogKey
]
const TIME = { sec: 10, nsec: 0 }
const SEEDS = 20
const FILES = 60

/** An index to which operations are applied one after another. */
class Tree {
  readonly index: TreeIndex
  #operations = 0

  private constructor(index: TreeIndex) {
    this.index = index
    for (const log of [LOG, FIRST, SECOND]) index.addLog(log)
  }

  static async create(): Promise<Tree> {
    return new Tree(await openIndex())
  }

  apply(operation: Operation): OperationId {
    const id = { log: LOG, index: this.#operations++, number: 0 }
    applyOperation(this.index, id, operation, NONE_OPEN)
    this.index.settle()
    return id
  }

  directory(name: string, settings: Readonly<Record<string, string>> = {}): OperationId {
    const inode = this.apply({
      ...{ type: 'mkdir', parent: ROOT_ID, name: name as Name, mode: 0o755 },
      ...{ uid: 0, gid: 0, time: TIME }
    })
    for (const [key, value] of Object.entries(settings)) this.set(inode, key as Name, value)
    return inode
  }

  set(inode: OperationId, name: Name, value: string): void {
    this.apply({ type: 'setxattr', inode, base: inode, name, value: bytesOf(value), time: TIME })
  }

  file(parent: OperationId, pieces: readonly BlockPiece[]): OperationId {
    const file = this.apply({
      ...{ type: 'create', parent, name: `f${String(this.#operations)}` as Name, kind: 'file' },
      ...{ mode: 0o644, uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: TIME }
    })
    const size = Math.max(0, ...pieces.map(({ offset, length }) => offset + length))
    const ids = { inode: file, through: file, base: file }
    this.apply({ type: 'write', ...ids, pieces, size, time: TIME })
    return file
  }
}

function piece(log: LogKey, index: number, part: Partial<BlockPiece> = {}): BlockPiece {
  return {
    kind: 'block',
    offset: 0,
    length: 10,
    log,
    index,
    hash: filled(32, 0),
    blockOffset: 0,
    ...part
  }
}

const noPause = (): Promise<void> => Promise.resolve()

/** What was found, a line for each block. */
function linesOf(needed: readonly NeededBlocks[]): string[] {
  return needed.flatMap(blocks =>
    [...indexesOf(blocks)].map(
      index => `${blocks.log}/${index} ${redundancyKey(blocks.redundancy)}`
    )
  )
}

t.test('a block that several files use is with the strictest of their levels only', async t => {
  const tree = await Tree.create()
  const many = tree.directory('many', { [XATTR_REDUNDANCY]: '5/1' })
  const safe = tree.directory('safe', { [XATTR_REDUNDANCY]: '3/3', [XATTR_SITES]: '2' })
  tree.file(ROOT_ID, [piece(FIRST, 7), piece(FIRST, 8, { offset: 10, length: 5, blockOffset: 90 })])
  tree.file(many, [piece(FIRST, 8), piece(SECOND, WINDOW_BLOCKS, { offset: 10 })])
  tree.file(safe, [piece(FIRST, 8), piece(FIRST, 2 * WINDOW_BLOCKS + 3, { offset: 10 })])
  const needed = await scanContentNeeds(tree.index, { pause: noPause })
  const summary = needed.map(({ log, window, redundancy, bytes, bitmap }) => ({
    ...{ log, window, redundancy, bytes },
    blocks: [...indexesOf({ window, bitmap })]
  }))
  t.strictSame(summary, [
    {
      log: FIRST,
      window: 0,
      redundancy: { copies: 2, floor: 1, sites: 1 },
      bytes: 10,
      blocks: [7]
    },
    {
      log: FIRST,
      window: 0,
      redundancy: { copies: 5, floor: 3, sites: 2 },
      bytes: 95,
      blocks: [8]
    },
    {
      ...{ log: FIRST, window: 2, redundancy: { copies: 3, floor: 3, sites: 2 }, bytes: 10 },
      blocks: [2 * WINDOW_BLOCKS + 3]
    },
    {
      ...{ log: SECOND, window: 1, redundancy: { copies: 5, floor: 1, sites: 1 }, bytes: 10 },
      blocks: [WINDOW_BLOCKS]
    }
  ])
})

t.test('a setting that changes changes what is asked for of what is there', async t => {
  const tree = await Tree.create()
  const directory = tree.directory('d', { [XATTR_REDUNDANCY]: '64/64', [XATTR_SITES]: '64' })
  tree.file(directory, [piece(FIRST, 2 ** 40)])
  const classes = async () =>
    (await scanContentNeeds(tree.index, { pause: noPause })).map(each =>
      redundancyKey(each.redundancy)
    )
  t.strictSame(await classes(), ['64/64/64'])
  tree.set(directory, XATTR_REDUNDANCY, '1')
  t.strictSame(await classes(), ['1/1/64'])
  tree.apply({
    type: 'removexattr',
    inode: directory,
    base: directory,
    name: XATTR_SITES,
    time: TIME
  })
  t.strictSame(await classes(), ['1/1/1'])
  t.strictSame(await scanContentNeeds((await Tree.create()).index, { pause: noPause }), [])
})

/** What is to be found, by looking at every run of every file. */
function naiveLines(tree: Tree, levels: ReadonlyMap<number, Redundancy>): string[] {
  const { index } = tree
  const found = new Map<string, Redundancy>()
  for (const [ino, redundancy] of levels) {
    for (const run of index.content.everyRun(ino)) {
      if (run.kind !== 'block') continue
      const key = `${index.logs.keyOf(run.log)}/${run.index}`
      const known = found.get(key) ?? { copies: 1, floor: 1, sites: 1 }
      found.set(key, {
        copies: Math.max(known.copies, redundancy.copies),
        floor: Math.max(known.floor, redundancy.floor),
        sites: Math.max(known.sites, redundancy.sites)
      })
    }
  }
  return [...found].map(([key, redundancy]) => `${key} ${redundancyKey(redundancy)}`)
}

t.test('it finds what a naive count finds, on random drives', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed)
    const tree = await Tree.create()
    const directories: { id: OperationId; redundancy: Redundancy }[] = [
      { id: ROOT_ID, redundancy: { copies: 2, floor: 1, sites: 1 } }
    ]
    for (let at = 0; at < 5; at++) {
      const copies = 1 + random.integer(5)
      const redundancy = { copies, floor: 1 + random.integer(copies), sites: 1 + random.integer(3) }
      const id = tree.directory(`d${at}`, {
        [XATTR_REDUNDANCY]: `${copies}/${redundancy.floor}`,
        [XATTR_SITES]: String(redundancy.sites)
      })
      directories.push({ id, redundancy })
    }
    const levels = new Map<number, Redundancy>()
    for (let at = 0; at < FILES; at++) {
      const directory = directories[random.integer(directories.length)] ?? directories[0]
      if (directory === undefined) continue
      let offset = 0
      const pieces = Array.from({ length: random.integer(8) }, () => {
        offset += 10 + random.integer(2) * REGION_BYTES
        const log = random.integer(2) === 0 ? FIRST : SECOND
        return piece(log, random.integer(3 * WINDOW_BLOCKS), { offset })
      })
      const inode = tree.file(directory.id, pieces)
      levels.set(tree.index.find(inode) ?? 0, directory.redundancy)
    }
    if (seed % 2 === 0) {
      tree.index.freeze()
      if (seed % 4 === 0) await tree.index.write([])
    }
    const needed = await scanContentNeeds(tree.index, { pause: noPause })
    const expected = naiveLines(tree, levels)
    assert.deepEqual(linesOf(needed).toSorted(), expected.toSorted(), `seed ${seed}`)
    const order = needed.map(({ log, window, redundancy: { copies, floor, sites } }) =>
      [log, ...[window, copies, floor, sites].map(number => String(number).padStart(9, '0'))].join(
        '/'
      )
    )
    assert.deepEqual(order, order.toSorted(), `seed ${seed}: sorted`)
    const ofFiles = [...filesOf(tree.index)].map(({ ino, redundancy }) => [ino, redundancy])
    assert.deepEqual(new Map(ofFiles as [number, Redundancy][]), levels, `seed ${seed}: files`)
  }
})

t.test('filesOf() and blocksOf() give each block of a file once', async t => {
  const tree = await Tree.create()
  const regions = 3 * REGIONS_PER_STEP
  const pieces = Array.from({ length: regions }, (_, at) => [
    piece(FIRST, 31 + at, { offset: at * REGION_BYTES }),
    piece(FIRST, 31 + at, { offset: at * REGION_BYTES + 10, blockOffset: 40 }),
    piece(SECOND, at % 2, { offset: at * REGION_BYTES + 20 })
  ]).flat()
  const large = tree.index.find(tree.file(ROOT_ID, pieces)) ?? 0
  const empty = tree.index.find(tree.file(ROOT_ID, [])) ?? 0
  const expected = new Set(pieces.map(({ log, index }) => `${log}/${index}`))
  const files = [...filesOf(tree.index)].map(file => ({
    ...file,
    blocks: [...file.blocks].map(({ log, index }) => `${log}/${index}`)
  }))
  t.strictSame(new Set(files.map(({ ino }) => ino)), new Set([large, empty]))
  t.equal(files.length, 2)
  const found = files.find(({ ino }) => ino === large)
  t.equal(found?.blocks.length, expected.size)
  t.strictSame(new Set(found?.blocks), expected)
  t.equal(found?.size, tree.index.inode(large).size)
  t.equal([...blocksOf(tree.index, large)].length, expected.size)
  t.strictSame([...blocksOf(tree.index, empty)], [])
  t.strictSame([...blocksOf(tree.index, ROOT_INO)], [], 'a directory has none')
  t.strictSame([...blocksOf(tree.index, 12_345)], [], 'nor has what is not there')
})

t.test('a scan gives way between steps of bounded size', async t => {
  const tree = await Tree.create()
  const regions = 4 * REGIONS_PER_STEP
  tree.file(
    ROOT_ID,
    Array.from({ length: regions }, (_, at) => piece(FIRST, at, { offset: at * REGION_BYTES }))
  )
  for (let at = 0; at < 2 * INODES_PER_STEP; at++) tree.file(ROOT_ID, [piece(SECOND, at)])
  let pauses = 0
  const needed = await scanContentNeeds(tree.index, {
    pause: () => {
      pauses++
      return Promise.resolve()
    }
  })
  t.equal(linesOf(needed).length, regions + 2 * INODES_PER_STEP)
  const least = (regions + 2 * INODES_PER_STEP) / REGIONS_PER_STEP + 2
  t.ok(pauses >= least, `${pauses} pauses, at least ${least}`)
})

t.test('an open file that lost its name needs nothing', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const handle = session.create('f', O_RDWR)
  await session.write(handle, patternBytes(200_000), 0)
  await drive.vfs.syncfs()
  t.equal(linesOf(await drive.replica.scanNeeds(noPause)).length, 2)
  drive.vfs.unlink(session.place('f'))
  t.strictSame(await drive.replica.scanNeeds(noPause), [])
  t.strictSame([...drive.replica.files()], [])
  await session.close(handle)
  await drive.close()
})

t.test('a scan bears what happens in its pauses, and finds what stays', async t => {
  const drive = await MemoryDrive.create()
  const session = new VfsSession(drive.vfs)
  const BLOCK = 128 * 1024
  session.mkdir('kept')
  session.mkdir('changing')
  drive.vfs.setxattr(session.ino('kept'), XATTR_REDUNDANCY, bytesOf('3/2'), 'set')
  for (let at = 0; at < 20; at++) {
    await session.writeFile(`kept/${at}`, patternBytes(2 * BLOCK, at))
    await session.writeFile(`changing/${at}`, patternBytes(BLOCK, at))
  }
  const handle = session.create('nameless', O_RDWR)
  await session.write(handle, patternBytes(BLOCK), 0)
  drive.vfs.unlink(session.place('nameless'))
  await drive.vfs.syncfs()
  let pauses = 0
  const needed = await drive.replica.scanNeeds(async () => {
    const name = `changing/${pauses++ % 20}`
    if (session.exists(name)) drive.vfs.unlink(session.place(name))
    if (pauses === 2) drive.vfs.rename(session.place('kept'), session.place('moved'), 'replace')
    await session.writeFile(`new${pauses}`, patternBytes(BLOCK, pauses))
  })
  const inMoved = [...drive.replica.files()].filter(({ ino }) =>
    drive.replica.pathOf(ino).includes('moved' as Name)
  )
  t.equal(inMoved.length, 20)
  const log = drive.contentKey
  const wanted = needed.filter(({ redundancy }) => redundancyKey(redundancy) === '3/2/1')
  for (const { ino } of inMoved) {
    for (const { index } of drive.replica.blocksOf(ino)) {
      const isFound = wanted.some(
        set =>
          set.log === log &&
          Math.floor(index / WINDOW_BLOCKS) === set.window &&
          hasBit(set.bitmap, index)
      )
      assert.ok(isFound, `block ${index}`)
    }
  }
  await session.close(handle)
  await drive.close()
})
