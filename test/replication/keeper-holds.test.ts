/**
 * Keeping blocks when everything that can fail does.
 *
 * Method: hold blocks while the n-th operation of the disk or of the records fails, for n = 0, 1,
 * 2 ... until none does; then start anew on what is on the disk, as after a crash, and look:
 * what is under receipt can be read, what can be read is under receipt, and another hold ends as
 * if nothing had happened.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { openReceipt, receiptHash } from '../../src/crypto/receipt.ts'
import { FIRST_BRING_BLOCKS, KeeperHolds } from '../../src/replication/keeper-holds.ts'
import { KeeperRecords, type WindowPlace } from '../../src/replication/keeper-records.ts'
import { KeeperSpace } from '../../src/replication/keeper-space.ts'
import { ReceiptBook } from '../../src/replication/receipt-book.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { countBits, difference, indexesOf, isEmptyBitmap } from '../../src/sync/block-bitmap.ts'
import { blocksOf, logOf, makeBlocks, SUITE_BLOCK_BYTES } from '../suites/holder-link-suite.ts'
import { FaultyKeyValueStore } from '../support/faulty-key-value-store.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryKeptLogs, MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')
const place: WindowPlace = { log, window: 0 }
const identity = filled(32, 1)
const { signal } = new AbortController()

interface Disk {
  readonly store: MemoryKeyValueStore
  readonly blocks: Map<string, Uint8Array>
}

interface Stage {
  readonly holds: KeeperHolds
  readonly book: ReceiptBook
  readonly space: KeeperSpace
  readonly logs: MemoryKeptLogs
  readonly faulty: FaultyKeyValueStore
}

const newDisk = (): Disk => ({
  store: new MemoryKeyValueStore(),
  blocks: new Map<string, Uint8Array>()
})

function sourceOf(count = 40): MemorySource {
  const source = new MemorySource()
  source.add(log, makeBlocks(count))
  return source
}

function open(disk: Disk, source: MemorySource, quotaBytes = 2 ** 40): Stage {
  const faulty = new FaultyKeyValueStore(disk.store)
  const records = new KeeperRecords(faulty)
  const logs = new MemoryKeptLogs(source, disk.blocks)
  const book = new ReceiptBook({
    ...{ records, logs, identity, drive: filled(32, 2), machine: filled(16, 3) },
    ...{ keyPair: signingKeyPair(filled(32, 4)), clock: new VirtualClock(), onlineSec: () => 0 }
  })
  const space = new KeeperSpace({ records, logs, book, identity }, quotaBytes)
  const holds = new KeeperHolds({
    ...{ records, logs, book, space, identity },
    acceptsMore: () => true
  })
  return { holds, book, space, logs, faulty }
}

/** What holds after every crash. */
async function check({ book, logs, space }: Stage, what: string): Promise<void> {
  const kept = book.kept(place)
  const stored = logs.stored(log, 0)
  assert(isEmptyBitmap(difference(kept, stored)), `${what}: all that is promised is stored`)
  assert(isEmptyBitmap(difference(stored, kept)), `${what}: all that is stored is promised`)
  for (const index of indexesOf({ window: 0, bitmap: kept })) await logs.read(log, index)
  assert.equal(space.usedBytes, countBits(kept) * SUITE_BLOCK_BYTES, what)
  const { receipts } = await book.since(0)
  for (const [at, bytes] of receipts.entries())
    if (at > 0)
      assert.equal(
        toHex(openReceipt(bytes).previous),
        toHex(receiptHash(receipts[at - 1] ?? bytes))
      )
}

t.test('whatever fails, promises are kept and nothing is left over', async t => {
  let runs = 0
  for (const subject of ['records', 'logs', 'both for good'] as const)
    for (let failAfter = 0; ; failAfter++) {
      const disk = newDisk()
      const stage = open(disk, sourceOf())
      await stage.holds.hold(blocksOf(log, 0, 3), signal)
      if (subject !== 'logs') stage.faulty.failAfter = failAfter
      if (subject !== 'records') stage.logs.failAfter = failAfter
      stage.faulty.isPersistent = subject === 'both for good'
      const failure = await stage.holds.hold(blocksOf(log, 2, 30), signal).then(
        () => undefined,
        (error: unknown) => error
      )
      runs++
      const what = `${subject}, fault ${failAfter}`
      const afterPower = { store: disk.store.copy(), blocks: stage.logs.afterPowerLoss() }
      const unpowered = open(afterPower, sourceOf())
      await unpowered.holds.recover()
      await check(unpowered, `${what}, and a loss of power`)
      const crashed = open(disk, sourceOf())
      await crashed.holds.recover()
      await check(crashed, what)
      assert.deepEqual(
        difference(blocksOf(log, 0, 3).bitmap, crashed.book.kept(place)).some(Boolean),
        false
      )
      const receipt = openReceipt(await crashed.holds.hold(blocksOf(log, 0, 30), signal))
      assert.equal(countBits(receipt.bitmap), 30, what)
      await check(crashed, what)
      if (failure === undefined) break
    }
  t.ok(runs > 50, `${runs} runs`)
})

t.test('whatever fails when blocks are dropped, none comes back by itself', async t => {
  for (const subject of ['records', 'logs'] as const)
    for (let failAfter = 0; ; failAfter++) {
      const disk = newDisk()
      const stage = open(disk, sourceOf())
      await stage.holds.hold(blocksOf(log, 0, 10), signal)
      if (subject === 'records') stage.faulty.failAfter = failAfter
      else stage.logs.failAfter = failAfter
      const failure = await stage.holds
        .inTurn(place, () => stage.holds.drop(blocksOf(log, 4, 10)))
        .then(
          () => undefined,
          (error: unknown) => error
        )
      const afterPower = { store: disk.store.copy(), blocks: stage.logs.afterPowerLoss() }
      const unpowered = open(afterPower, sourceOf())
      await unpowered.holds.recover()
      await check(unpowered, `${subject}, fault ${failAfter}, and a loss of power`)
      const crashed = open(disk, sourceOf())
      await crashed.holds.recover()
      await check(crashed, `${subject}, fault ${failAfter}`)
      const count = countBits(crashed.book.kept(place))
      assert(count === 4 || (count === 10 && failure !== undefined), `${count} are kept`)
      if (failure === undefined) break
    }
  t.pass()
})

t.test('a quota is kept to the byte by holds at the same time', async t => {
  const source = sourceOf()
  const other = logOf('b')
  source.add(other, makeBlocks(40, 5))
  const stage = open(newDisk(), source, 50 * SUITE_BLOCK_BYTES + 1)
  const results = await Promise.allSettled([
    stage.holds.hold(blocksOf(log, 0, 40), signal),
    stage.holds.hold(blocksOf(other, 0, 40), signal)
  ])
  t.ok(results.some(({ status }) => status === 'rejected'))
  t.equal(stage.space.usedBytes, 50 * SUITE_BLOCK_BYTES)
  t.equal(stage.space.freeBytes, 1)
  t.equal(stage.logs.disk.size, 50, 'what did not fit is gone')
})

t.test('blocks of other sizes than expected do not fit either', async t => {
  const source = new MemorySource()
  const sizes = [...Array.from({ length: FIRST_BRING_BLOCKS }, () => 10), 900, 10, 2000]
  source.add(
    log,
    sizes.map((size, index) => filled(size, index))
  )
  const stage = open(newDisk(), source, FIRST_BRING_BLOCKS * 10 + 910)
  await t.rejects(stage.holds.hold(blocksOf(log, 0, sizes.length), signal), { code: 'FULL' })
  t.equal(stage.space.freeBytes, 0, 'all that fitted')
  t.equal(countBits(stage.book.kept(place)), FIRST_BRING_BLOCKS + 2)
})

t.test('a block that went bad before it was signed for comes anew', async t => {
  const disk = newDisk()
  const source = sourceOf()
  const stage = open(disk, source)
  disk.blocks.set(`${log}/1`, filled(SUITE_BLOCK_BYTES, 9))
  stage.logs.damage(log, 1)
  const receipt = openReceipt(await stage.holds.hold(blocksOf(log, 0, 3), signal))
  t.equal(countBits(receipt.bitmap), 3)
  t.equal(source.given.get(`${log}/1`), 1)
})

t.test('an entry of an operation log that went bad comes anew too', async t => {
  const source = sourceOf()
  const operations = logOf('b')
  const entries = Array.from({ length: 8 }, (_, index) => filled(SUITE_BLOCK_BYTES, index))
  source.add(operations, entries, 'operation')
  const stage = open(newDisk(), source)
  await stage.holds.hold(blocksOf(operations, 0, 8), signal)
  stage.logs.damage(operations, 3)
  await stage.holds.giveUpDamaged(blocksOf(operations, 0, 8))
  const at = { log: operations, window: 0 }
  t.equal(countBits(stage.book.kept(at)), 7)
  const receipt = openReceipt(await stage.holds.hold(blocksOf(operations, 0, 8), signal))
  t.equal(countBits(receipt.bitmap), 8)
  t.equal(source.given.get(`${operations}/3`), 2)
})

t.test('giveUpDamaged() takes only what cannot be read', async t => {
  const stage = open(newDisk(), sourceOf())
  await stage.holds.hold(blocksOf(log, 0, 5), signal)
  await stage.holds.giveUpDamaged(blocksOf(log, 0, 5))
  t.equal(stage.book.sequence, 1, 'nothing to say')
  stage.logs.damage(log, 0)
  stage.logs.damage(log, 9)
  await stage.holds.giveUpDamaged(blocksOf(log, 0, 20))
  t.equal(countBits(stage.book.kept(place)), 4)
  stage.logs.failAfter = 0
  await t.rejects(stage.holds.giveUpDamaged(blocksOf(log, 0, 5)), { code: 'IO' })
  t.equal(countBits(stage.book.kept(place)), 4, 'a disk that fails for now loses nothing')
})

t.test('an own copy is never forgotten, whatever fails', async t => {
  const disk = newDisk()
  const source = sourceOf()
  const stage = open(disk, source)
  stage.logs.isOwnCopy = true
  await stage.holds.hold(blocksOf(log, 0, 10), signal)
  await stage.holds.inTurn(place, () => stage.holds.drop(blocksOf(log, 0, 5)))
  t.same([countBits(stage.book.kept(place)), disk.blocks.size], [5, 10])
  stage.logs.damage(log, 7)
  await stage.holds.giveUpDamaged(blocksOf(log, 0, 10))
  t.same([countBits(stage.book.kept(place)), disk.blocks.size], [4, 10])
  await t.rejects(stage.holds.hold(blocksOf(log, 0, 10), signal), { code: 'UNAVAILABLE' })
  t.equal(countBits(stage.book.kept(place)), 9, 'all but the one that cannot be read')
  stage.faulty.failAfter = 2
  stage.faulty.isPersistent = true
  await t.rejects(stage.holds.hold(blocksOf(log, 20, 30), signal), { code: 'IO' })
  const crashed = open(disk, source)
  crashed.logs.isOwnCopy = true
  await crashed.holds.recover()
  t.equal(disk.blocks.size, 20, 'what was brought before the crash')
})

t.test('what an aborted hold brought is kept', async t => {
  const source = sourceOf()
  const stage = open(newDisk(), source)
  const controller = new AbortController()
  source.gives = (_, index) => {
    if (index === 20) controller.abort()
    return true
  }
  await t.rejects(stage.holds.hold(blocksOf(log, 0, 30), controller.signal), {
    code: 'INTERRUPTED'
  })
  t.equal(countBits(stage.book.kept(place)), 21)
  await check(stage, 'aborted')
})
