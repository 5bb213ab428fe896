/**
 * The index as a whole: what it does with a store it cannot use, identities, files without a
 * name, and that exactly what was frozen is written, with its cursors.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { RowSealer } from '../../src/crypto/row-sealer.ts'
import { applyOperation } from '../../src/sync/apply-operation.ts'
import { logKey } from '../../src/sync/log.ts'
import { ROOT_ID, type Name, type Operation, type OperationId } from '../../src/sync/operation.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { TableSet } from '../../src/sync/table.ts'
import { ROOT_INO, TreeIndex, type Cursor } from '../../src/sync/tree-index.ts'
import { filled, flipped } from '../support/bytes.ts'
import { checkIndex } from '../support/check-index.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { applyEntries, NONE_OPEN, openIndex, rowSealer } from '../support/memory-index.ts'
import { makeDevices } from '../support/model-check.ts'
import { randomCommand } from '../support/model-command.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const LOG = logKey('a1'.repeat(32))
const OTHER = logKey('b1'.repeat(32))
const EVERYTHING = { from: Uint8Array.of(0), to: Uint8Array.of(255) }
const TIME = { sec: 10, nsec: 0 }

const idOf = (index: number, number = 0): OperationId => ({ log: LOG, index, number })

function create(name: string): Operation {
  return {
    ...{ type: 'create', parent: ROOT_ID, name: name as Name, kind: 'file', mode: 0o644 },
    ...{ uid: 0, gid: 0, rdev: 0, target: new Uint8Array(0), time: TIME }
  }
}

function cursorOf(length: number, log = LOG): Cursor {
  return { log, length, treeHash: filled(32, length) }
}

/** An index with a file in it that is written, and its store. */
async function written(): Promise<{ store: MemoryKeyValueStore; dumped: string }> {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  index.addLog(LOG)
  applyOperation(index, idOf(0), create('f'), NONE_OPEN)
  index.freeze()
  await index.write([cursorOf(1)])
  return { store, dumped: dumpIndex(index) }
}

async function isEmptied(store: MemoryKeyValueStore, sealer: RowSealer): Promise<boolean> {
  const index = await TreeIndex.open({ store, sealer })
  const isEmpty = index.names.entries(ROOT_INO).size === 0 && index.cursor(LOG).length === 0
  return isEmpty && [...store.range(EVERYTHING)].length === 0
}

t.test('a new index has a root, and nothing is in the store before a write', async t => {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  t.match(index.inode(ROOT_INO), { id: ROOT_ID, kind: 'directory', mode: 0o755, links: [] })
  t.throws(() => index.inode(2), { code: 'MISSING' })
  t.equal(index.find(ROOT_ID), ROOT_INO)
  t.strictSame([...store.range(EVERYTHING)], [])
  checkIndex(index)
})

t.test('an index that was written is opened as it was, by the same key only', async t => {
  const { store, dumped } = await written()
  const index = await openIndex(store)
  t.equal(dumpIndex(index), dumped)
  t.strictSame(index.cursor(LOG), cursorOf(1))
  t.equal(index.changeCount, 0)
  checkIndex(index)
  const stranger = new RowSealer({ key: filled(32, 77), random: new SeededRandom(1) })
  t.ok(await isEmptied(store, stranger), 'another key: emptied')
})

t.test('an index of another version is emptied', async t => {
  for (const version of [0, 1, 99]) {
    const { store } = await written()
    const tables = new TableSet({ store, sealer: rowSealer() })
    const meta = tables.table<number>({
      number: 0,
      encode: (out, value) => out.varint(value),
      decode: () => 0
    })
    meta.put(0, '', version)
    tables.freeze()
    await tables.write()
    t.ok(await isEmptied(store, rowSealer()), `version ${version}`)
  }
})

t.test('damage of any one row empties the index or shows where that row is needed', async t => {
  const rows = [...(await written()).store.range(EVERYTHING)].length
  let emptied = 0
  for (let row = 0; row < rows; row++) {
    const { store } = await written()
    const [key, value] = [...store.range(EVERYTHING)][row] ?? []
    if (!key || !value) throw new Error('no such row')
    await store.commit([[key, flipped(value, value.length - 1)]])
    const index = await openIndex(store)
    if (index.cursor(LOG).length === 0) {
      emptied++
      t.strictSame([...store.range(EVERYTHING)], [], 'all of it')
      continue
    }
    try {
      checkIndex(index)
    } catch (error) {
      t.ok(error instanceof CryptoError, 'what cannot be opened is an error, not absent')
    }
  }
  t.equal(emptied, 4, 'version, lamport, cursor and root are looked at when opening')
})

t.test('an index without its root or a cursor that is counted is emptied', async t => {
  for (const table of [1, 10]) {
    const { store } = await written()
    const [[key] = []] = [
      ...store.range({ from: Uint8Array.of(table), to: Uint8Array.of(table + 1) })
    ]
    if (!key) throw new Error('no such row')
    const first = await openIndex(store)
    first.addLog(OTHER)
    first.freeze()
    await first.write([])
    await store.commit([[key, undefined]])
    t.ok(await isEmptied(store, rowSealer()), `table ${table}`)
  }
})

t.test('identities stand for numbers, those of unknown logs for none', async t => {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  const ids = [idOf(0), idOf(1), idOf(1, 1), idOf(2 ** 36, 2 ** 32 - 1), idOf(2 ** 36, 0x1_00_05)]
  index.addLog(LOG)
  for (const [at, id] of ids.entries()) applyOperation(index, id, create(`${at}`), NONE_OPEN)
  const check = (index: TreeIndex): void => {
    for (const [at, id] of ids.entries()) t.equal(index.find(id), ROOT_INO + 1 + at)
    t.equal(index.find({ ...idOf(0), log: OTHER }), undefined)
    t.equal(index.find(idOf(2)), undefined)
    t.equal(index.find({ ...ROOT_ID, index: 7, number: 1 }), 7, 'that of a file without a name')
  }
  check(index)
  index.freeze()
  await index.write([cursorOf(1)])
  check(await openIndex(store))
})

t.test('logs keep their numbers, also one that came while others were written', async t => {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  t.equal(index.addLog(LOG), 1)
  index.freeze()
  t.equal(index.addLog(OTHER), 2)
  t.equal(index.addLog(LOG), 1)
  await index.write([cursorOf(4)])
  index.freeze()
  await index.write([])
  const again = await openIndex(store)
  t.equal(again.addLog(OTHER), 2)
  t.strictSame(again.cursor(LOG), cursorOf(4))
  t.strictSame(again.cursor(OTHER).length, 0)
  t.strictSame([...again.appliedLogs()], [LOG])
})

t.test('that an entry was passed over is remembered', async t => {
  const { store } = await written()
  const index = await openIndex(store)
  t.notOk(index.hasGaps)
  index.setGaps()
  t.ok(index.hasGaps)
  index.freeze()
  await index.write([cursorOf(2)])
  t.ok((await openIndex(store)).hasGaps)
})

t.test('a cursor is that of the batch it was written with, whatever came since', async t => {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  index.addLog(LOG)
  applyOperation(index, idOf(0), create('first'), NONE_OPEN)
  index.freeze()
  applyOperation(index, idOf(1), create('second'), NONE_OPEN)
  store.failure = new SyncError('NO_SPACE', 'by the test')
  await t.rejects(index.write([cursorOf(1)]), { code: 'NO_SPACE' })
  t.ok(index.isFrozen)
  t.strictSame([...store.range(EVERYTHING)], [], 'nothing of it')
  store.failure = undefined
  await index.write([cursorOf(1)])
  t.notOk(index.isFrozen)
  const again = await openIndex(store)
  t.strictSame([...again.names.entries(ROOT_INO).keys()], ['first'])
  t.strictSame(again.cursor(LOG), cursorOf(1))
  t.strictSame([...index.names.entries(ROOT_INO).keys()].toSorted(), ['first', 'second'])
})

t.test('files without a name have numbers of their own and go when they are purged', async t => {
  const store = new MemoryKeyValueStore()
  const index = await openIndex(store)
  index.addLog(LOG)
  const attributes = { mode: 0o600, uid: 1, gid: 2 }
  const [first, second] = [index.addNameless(attributes, TIME), index.addNameless(attributes, TIME)]
  t.not(first.ino, second.ino)
  t.equal(index.find(first.id), first.ino)
  applyOperation(index, idOf(0), create('f'), NONE_OPEN)
  t.equal(index.lookup(ROOT_INO, 'f' as Name)?.ino, ROOT_INO + 1, 'they take no number from others')
  const base = first.id
  const pieces = [{ kind: 'inline' as const, offset: 0, bytes: filled(9, 1) }]
  applyOperation(
    index,
    base,
    { type: 'write', inode: base, through: base, base, pieces, size: 9, time: TIME },
    NONE_OPEN
  )
  const name = 'user.a' as Name
  const set: Operation = {
    type: 'setxattr',
    inode: base,
    base,
    name,
    value: filled(3, 3),
    time: TIME
  }
  applyOperation(index, base, set, NONE_OPEN)
  checkIndex(index)
  index.freeze()
  await index.write([cursorOf(1)])

  const again = await openIndex(store)
  again.purgeOrphans(20)
  t.equal(again.inodes.get(first.ino), undefined)
  checkIndex(again)
  again.freeze()
  await again.write([cursorOf(1)])
  const { store: other } = await written()
  t.equal(
    [...store.range(EVERYTHING)].length,
    [...other.range(EVERYTHING)].length + 1,
    'no row but the counter is left'
  )
})

t.test('purgeOrphans() takes files without a name and no others', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed)
    const store = new MemoryKeyValueStore()
    const index = await openIndex(store)
    const [device] = makeDevices(1)
    if (!device) throw new Error('no device')
    for (let number = 0; number < 20; number++) {
      const command = randomCommand(device.tree, { random, next: () => number })
      if (command) device.execute(command)
    }
    applyEntries(index, device.entries)
    const dumped = dumpIndex(index)
    for (let i = random.integer(3); i > 0; i--) {
      index.addNameless({ mode: 0, uid: 0, gid: 0 }, TIME)
      if (!index.isFrozen && random.integer(2) === 0) index.freeze()
    }
    if (index.isFrozen && random.integer(2) === 0) await index.write([])
    index.purgeOrphans(20)
    assert.equal(dumpIndex(index), dumped, `seed ${seed}`)
    assert.equal(index.orphans.between(0, Number.MAX_SAFE_INTEGER).size, 0)
    checkIndex(index)
  }
})
