/**
 * Each operation changes the index as the oracle says, step by step on random histories of one
 * device. One that names what is not there changes nothing; where entries before it are missing,
 * the rest still make an index that agrees with itself and loses no file that is in it.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { logKey } from '../../src/sync/log.ts'
import {
  ROOT_ID,
  type ExchangeOperation,
  type Name,
  type Operation,
  type OperationId
} from '../../src/sync/operation.ts'
import { REGION_BYTES } from '../../src/sync/region.ts'
import type { InodeRecord } from '../../src/sync/inode-record.ts'
import { ROOT_INO, type TreeIndex } from '../../src/sync/tree-index.ts'
import { filled } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { applyEntries, applyEntry, NONE_OPEN, openIndex } from '../support/memory-index.ts'
import { makeDevices } from '../support/model-check.ts'
import { randomCommand } from '../support/model-command.ts'
import { dump, treeOf, type ModelEntry } from '../support/model.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { createOf, DEVICE_LOGS, TwoDeviceIndex, writeOf } from '../support/two-device-index.ts'

const RUNS = 100
const COMMANDS = 30
const DAMAGED_RUNS = 120
const LOG = logKey('a1'.repeat(32))
const CONTENT = logKey('c1'.repeat(32))
const OWNER = { uid: 1, gid: 2 }

const time = (sec: number) => ({ sec, nsec: 0 })
const idOf = (index: number, number = 0): OperationId => ({ log: LOG, index, number })

function randomEntries(seed: number, onCommand?: (entries: readonly ModelEntry[]) => void) {
  const [device] = makeDevices(1)
  if (!device) throw new Error('no device')
  const random = new SeededRandom(seed)
  let number = 0
  for (let i = 0; i < COMMANDS; i++) {
    const command = randomCommand(device.tree, { random, next: () => ++number })
    if (!command) continue
    device.execute(command)
    onCommand?.(device.entries)
    if (random.integer(3) === 0) device.commit()
  }
  return device.entries
}

t.test(`the index equals the oracle after every operation (${RUNS} histories)`, async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const index = await openIndex()
    let applied = 0
    randomEntries(seed, entries => {
      const all = entries.flatMap(entry =>
        entry.operations.map((operation, number) => ({ entry, operation, number }))
      )
      for (const { entry, operation, number } of all.slice(applied)) {
        index.addLog(entry.log)
        const id = { log: entry.log, index: entry.index, number }
        assert.equal(applyOperation(index, id, operation, NONE_OPEN), true)
      }
      applied = all.length
      assert.equal(dumpIndex(index), dump(treeOf(entries)), `seed ${seed}, operation ${applied}`)
      checkIndex(index)
    })
  }
})

t.test('with operations missing, the rest make the tree that the oracle makes of it', async t => {
  let unknown = 0
  for (let seed = 1; seed <= DAMAGED_RUNS; seed++) {
    const random = new SeededRandom(seed)
    const isLost = (): boolean => random.integer(6) === 0
    const lost: Operation = { type: 'statement', bytes: filled(1, 1) }
    const entries = randomEntries(seed).map(entry => ({
      ...entry,
      operations: entry.operations.map(operation => (isLost() ? lost : operation))
    }))
    const index = await openIndex()
    index.deviceOf = () => 'device 1'
    for (const [at, entry] of entries.entries()) {
      if (!applyEntry(index, entry)) unknown++
      const what = `seed ${seed}, entry ${at}`
      assert.equal(dumpIndex(index), dump(treeOf(entries.slice(0, at + 1))), what)
      checkIndex(index)
    }
  }
  t.ok(unknown > DAMAGED_RUNS, `${unknown} entries named something missing`)
})

// One operation at a time

function create(name: string, parent = ROOT_ID, sec = 10): Operation {
  return {
    ...{ type: 'create', parent, name: name as Name, kind: 'file', mode: 0o644, ...OWNER },
    ...{ rdev: 0, target: new Uint8Array(0), time: time(sec) }
  }
}

function mkdir(name: string, parent = ROOT_ID, sec = 10): Operation {
  return { type: 'mkdir', parent, name: name as Name, mode: 0o755, ...OWNER, time: time(sec) }
}

function unlink(link: OperationId, sec: number): Operation {
  return { type: 'unlink', parent: ROOT_ID, links: [link], time: time(sec) }
}

/** An exchange of `a` and `b` of the root, unless it is told otherwise. */
function exchange(
  parts: Pick<ExchangeOperation, 'links' | 'others'> & Partial<ExchangeOperation>,
  sec: number
): Operation {
  const [first, second] = [
    { parent: ROOT_ID, name: 'a' as Name },
    { parent: ROOT_ID, name: 'b' as Name }
  ]
  return { type: 'exchange', first, second, time: time(sec), ...parts }
}

/** Applies operations, one entry each. @returns whether each was known */
function applyAll(
  index: TreeIndex,
  operations: readonly Operation[],
  options: { readonly first?: number; readonly isOpen?: (ino: number) => boolean } = {}
): boolean[] {
  const { first = 0, isOpen = () => false } = options
  index.addLog(LOG)
  return operations.map((operation, at) =>
    applyOperation(index, idOf(first + at), operation, { isOpen })
  )
}

/** Paths of everything that has a name. */
function pathsOf(index: TreeIndex, ino = ROOT_INO, path = ''): string[] {
  return [...index.list(ino).values()]
    .flatMap(row => [`${path}/${row.name}`, ...pathsOf(index, row.ino, `${path}/${row.name}`)])
    .toSorted()
}

function recordAt(index: TreeIndex, name: string, parent = ROOT_INO): InodeRecord {
  const row = index.lookup(parent, name as Name)
  if (row === undefined) throw new Error(`no ${name}`)
  return index.inode(row.ino)
}

t.test('an operation that names what is not there changes nothing and says so', async t => {
  const none = idOf(99)
  const seen = { inode: none, base: none, time: time(50) }
  const name = 'x' as Name
  const operations: Operation[] = [
    create('x', none),
    mkdir('x', none),
    { type: 'link', inode: none, through: none, parent: ROOT_ID, name, time: time(50) },
    { type: 'link', inode: idOf(0), through: idOf(0), parent: none, name, time: time(50) },
    unlink(none, 50),
    { type: 'rmdir', parent: ROOT_ID, links: [none], time: time(50) },
    {
      ...{ type: 'rename', links: [none], from: ROOT_ID, parent: ROOT_ID, name },
      ...{ replaced: [], time: time(50) }
    },
    {
      ...{ type: 'rename', links: [idOf(0)], from: ROOT_ID, parent: none, name },
      ...{ replaced: [idOf(0)], time: time(50) }
    },
    exchange({ links: [none], others: [none] }, 50),
    { type: 'write', ...seen, through: none, pieces: [], size: 5 },
    { type: 'truncate', ...seen, through: none, size: 5 },
    { type: 'setattr', ...seen, mode: 0 },
    { type: 'setxattr', ...seen, name, value: filled(1, 1) },
    { type: 'removexattr', ...seen, name }
  ]
  for (const operation of operations) {
    const index = await openIndex()
    applyAll(index, [create('f'), mkdir('d')])
    const before = dumpIndex(index)
    const known = applyAll(index, [operation], { first: 60 })
    t.strictSame(known, [false], operation.type)
    t.equal(dumpIndex(index), before, operation.type)
    checkIndex(index)
  }
})

t.test('statements and envelopes change nothing in the tree', async t => {
  const index = await openIndex()
  const before = dumpIndex(index)
  const known = applyAll(index, [
    { type: 'statement', bytes: filled(3, 1) },
    { type: 'envelope', bytes: filled(3, 1) }
  ])
  t.strictSame(known, [true, true])
  t.equal(dumpIndex(index), before)
})

t.test('of several links those that are known are removed and moved', async t => {
  const index = await openIndex()
  applyAll(index, [create('a'), create('b'), mkdir('d')])
  const none = idOf(99)
  const renamed = applyAll(
    index,
    [
      {
        ...{ type: 'rename', links: [none, idOf(0)], from: ROOT_ID, parent: idOf(2) },
        ...{ name: 'moved' as Name, replaced: [], time: time(20) }
      },
      { type: 'unlink', parent: ROOT_ID, links: [none, idOf(1)], time: time(30) }
    ],
    { first: 10 }
  )
  t.strictSame(renamed, [false, false], 'not everything was known')
  t.strictSame(pathsOf(index), ['/d', '/d/moved'])
  checkIndex(index)
})

t.test('create of a file that was open without a name keeps its number and content', async t => {
  const index = await openIndex()
  index.addLog(LOG)
  const attributes = { mode: 0o600, uid: 5, gid: 6 }
  const { ino, id: inode } = index.addNameless(attributes, time(5))
  const write: Operation = {
    ...{ type: 'write', inode, through: inode, base: inode, size: 3, time: time(6) },
    pieces: [{ kind: 'inline', offset: 0, bytes: filled(3, 7) }]
  }
  const value = filled(2, 8)
  const name = 'user.x' as Name
  applyOperation(index, inode, write, NONE_OPEN)
  const set: Operation = { type: 'setxattr', inode, base: inode, name, value, time: time(7) }
  applyOperation(index, inode, set, NONE_OPEN)
  checkIndex(index)

  applyOperation(index, idOf(0), create('named'), { ...NONE_OPEN, ino })
  const record = recordAt(index, 'named')
  t.match(record, { ino, size: 3, allocated: 3, xattrs: 1, id: idOf(0), version: idOf(0) })
  t.equal(index.orphans.get(ino), undefined)
  t.strictSame(index.content.inlineBytes(ino, { from: 0, to: 3 }), filled(3, 7))
  applyAll(index, [create('next')], { first: 1 })
  checkIndex(index)

  const rebuilt = await openIndex()
  applyAll(rebuilt, [create('named'), create('next')])
  t.equal(
    recordAt(rebuilt, 'next').ino,
    recordAt(index, 'next').ino,
    'later files have the same number in an index made anew'
  )
})

t.test('the last name of a file that is open goes, the file stays until it is purged', async t => {
  for (const how of ['unlink', 'rename over it'] as const) {
    const index = await openIndex()
    applyAll(index, [create('f'), create('g')])
    const { ino } = recordAt(index, 'f')
    const removal: Operation =
      how === 'unlink'
        ? unlink(idOf(0), 20)
        : {
            ...{ type: 'rename', links: [idOf(1)], from: ROOT_ID, parent: ROOT_ID },
            ...{ name: 'f' as Name, replaced: [idOf(0)], time: time(20) }
          }
    applyAll(index, [removal], { first: 2, isOpen: number => number === ino })
    t.match(index.inode(ino), { links: [], ctime: time(20) }, how)
    t.ok(index.orphans.get(ino))
    checkIndex(index)
    index.purge(ino, 30)
    t.equal(index.inodes.get(ino), undefined)
    t.equal(index.find(idOf(0)), undefined)
    checkIndex(index)
  }
})

t.test('a file is found by its identity when its first name is gone', async t => {
  const index = await openIndex()
  const [inode, name] = [idOf(0), 'g' as Name]
  applyAll(index, [
    create('f'),
    { type: 'link', inode, through: inode, parent: ROOT_ID, name, time: time(11) },
    unlink(inode, 12),
    { type: 'setattr', inode, base: inode, mode: 0o600, time: time(13) }
  ])
  t.match(recordAt(index, 'g'), { mode: 0o600, ctime: time(13), id: inode })
  t.strictSame(
    applyAll(index, [unlink(inode, 14)], { first: 4 }),
    [true],
    'the link that is gone may be removed again'
  )
  applyAll(index, [unlink(idOf(1), 15)], { first: 5 })
  t.equal(index.find(inode), undefined)
  t.equal(index.find(idOf(1)), undefined)
  checkIndex(index)
})

t.test('a truncate over many regions gives back what lay there, and only that', async t => {
  const index = await openIndex()
  const inode = idOf(0)
  const size = 70 * REGION_BYTES
  const pieces = Array.from({ length: 70 }, (_, at) => ({
    ...{ kind: 'block' as const, offset: at * REGION_BYTES, length: 1000, log: CONTENT, index: at },
    ...{ hash: filled(32, at), blockOffset: 0 }
  }))
  const seen = { inode, through: inode }
  applyAll(index, [
    create('f'),
    { type: 'write', ...seen, base: inode, pieces, size, time: time(11) },
    { type: 'truncate', ...seen, base: idOf(1), size: REGION_BYTES + 10, time: time(12) },
    { type: 'truncate', ...seen, base: idOf(2), size, time: time(13) }
  ])
  t.match(recordAt(index, 'f'), { size, allocated: 1010, version: idOf(3) })
  t.equal([...index.content.supersededBefore(12, Infinity)].length, 68)
  checkIndex(index)
})

// What remains when an entry could not be read

t.test(
  'a name that is taken, though its author saw it free, stays; the other gets a conflict name',
  async t => {
    const index = await openIndex()
    // Missing: what became of the first two.
    index.deviceOf = () => 'laptop'
    applyAll(index, [create('f.txt'), create('f.txt'), create('f.txt')])
    t.strictSame(pathsOf(index), [
      '/f (conflict, laptop, 1970-01-01 00.00) 2.txt',
      '/f (conflict, laptop, 1970-01-01 00.00).txt',
      '/f.txt'
    ])
    t.equal(recordAt(index, 'f.txt').id.index, 0, 'the first in order keeps it')
    checkIndex(index)

    const long = 'é'.repeat(127)
    const bytes = Buffer.from(long).toString('latin1')
    const other = await openIndex()
    applyAll(other, [create(bytes), create(bytes)])
    const names = [...other.list(ROOT_INO).keys()]
    t.equal(names.length, 2)
    t.ok(names.every(name => name.length <= 255))
    for (const name of names) {
      t.notMatch(Buffer.from(name, 'latin1').toString(), '\uFFFD', 'no character is broken')
    }
    checkIndex(other)
  }
)

t.test('a directory that is removed with something in it stays until that goes', async t => {
  const index = await openIndex()
  const removed = applyAll(index, [
    mkdir('d'),
    create('f', idOf(0)),
    // Missing: the removal of f.
    { type: 'rmdir', parent: ROOT_ID, links: [idOf(0)], time: time(20) }
  ])
  t.strictSame(removed, [true, true, true])
  t.strictSame(pathsOf(index), ['/d', '/d/f'])
  checkIndex(index)
  const links = [idOf(1)]
  const last: Operation = { type: 'unlink', parent: idOf(0), links, time: time(30) }
  applyAll(index, [last], { first: 3 })
  t.strictSame(pathsOf(index), [])
  checkIndex(index)
})

t.test('a directory is not moved into itself', async t => {
  const rename = (from: number, parent: OperationId, name: string): Operation => ({
    ...{ type: 'rename', links: [idOf(from)], from: ROOT_ID, parent, name: name as Name },
    ...{ replaced: [], time: time(20) }
  })
  const index = await openIndex()
  // Missing: the move of b to the root.
  const moved = applyAll(index, [mkdir('a'), mkdir('b', idOf(0)), rename(0, idOf(1), 'a')])
  t.strictSame(moved, [true, true, true])
  t.strictSame(pathsOf(index), ['/a', '/a/b'])
  checkIndex(index)

  const swapped = applyAll(
    index,
    [
      mkdir('c', idOf(1)),
      exchange(
        { links: [idOf(0)], others: [idOf(3)], second: { parent: idOf(1), name: 'c' as Name } },
        30
      )
    ],
    { first: 3 }
  )
  t.strictSame(swapped, [true, true])
  // The way into itself is passed over; c came out and wants the name that a kept.
  t.strictSame(pathsOf(index), ['/a', '/a (conflict, device, 1970-01-01 00.00)', '/a/b'])
  checkIndex(index)
})

t.test('a write to less than the file has leaves nothing behind its end', async t => {
  const index = await openIndex()
  const inode = idOf(0)
  const seen = { inode, through: inode, base: inode }
  const bytes = filled(100, 1)
  applyAll(index, [
    create('f'),
    {
      type: 'write',
      ...seen,
      pieces: [{ kind: 'inline', offset: 0, bytes }],
      size: 100,
      time: time(1)
    },
    { type: 'write', ...seen, base: idOf(1), pieces: [], size: 10, time: time(2) }
  ])
  t.match(recordAt(index, 'f'), { size: 10, allocated: 10 })
  checkIndex(index)
})

t.test('applyEntries() of a whole history knows everything it names', async t => {
  const index = await openIndex()
  t.ok(applyEntries(index, randomEntries(7)))
})

// What the author cannot have seen

t.test('an operation on a version that its author had not seen does nothing', async t => {
  const [A, B, C] = DEVICE_LOGS
  const devices = await TwoDeviceIndex.create()
  const file = devices.merge(A, createOf('f'))
  const version = devices.merge(B, writeOf(file, file, 1))
  const { f: ino = 0 } = devices.names()
  const before = dumpIndex(devices.index)
  const unseen = new Map([[A, 1]])
  devices.merge(C, writeOf(file, version, 2), unseen)
  const seen = { inode: file, base: version, time: time(9) }
  devices.merge(C, { type: 'setattr', ...seen, mode: 0 }, unseen)
  t.equal(dumpIndex(devices.index), before)
  t.strictSame(devices.bytes(ino), [1, 1, 1])
  checkIndex(devices.index)
})

t.test('what is no regular file is not written', async t => {
  const [A, B] = DEVICE_LOGS
  const devices = await TwoDeviceIndex.create()
  const pipe = devices.merge(A, createOf('pipe', ROOT_ID, 'fifo'))
  const before = dumpIndex(devices.index)
  devices.merge(B, writeOf(pipe, pipe, 1))
  devices.merge(B, writeOf(pipe, pipe, 1), new Map([[A, 1]]))
  t.equal(dumpIndex(devices.index), before)
})

t.test('a file that was revived is shown where it was last written through', async t => {
  const [A, B] = DEVICE_LOGS
  const devices = await TwoDeviceIndex.create()
  const file = devices.merge(A, createOf('f'))
  const name = 'g' as Name
  const link = { type: 'link' as const, inode: file, through: file, parent: ROOT_ID, name }
  const linked = devices.merge(A, { ...link, time: time(2) })
  devices.merge(A, { type: 'unlink', parent: ROOT_ID, links: [file, linked], time: time(3) })
  t.strictSame(Object.keys(devices.names()), [])
  const version = devices.merge(B, writeOf(file, file, 1), new Map([[A, 2]]))
  t.strictSame(Object.keys(devices.names()), ['f'])
  const again = { ...writeOf(file, version, 2), through: linked } as Operation
  devices.merge(B, again)
  t.strictSame(Object.keys(devices.names()), ['g'])
  checkIndex(devices.index)
})
