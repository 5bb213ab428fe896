/** Dropping at a keeper: the locks it takes, and that nothing is dropped without them. */
import assert from 'node:assert/strict'
import t from 'tap'
import { RELEASE_DELAY_MS, signRelease } from '../../src/crypto/release.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { dropBlocks } from '../../src/replication/drop-attempt.ts'
import type { DropRequest } from '../../src/replication/drop-attempt.ts'
import { KeepLocks } from '../../src/replication/keep-lock.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { filled } from '../support/bytes.ts'
import { CONTENT } from '../support/custody-world.ts'
import { plannedBook } from '../support/planned-book.ts'

const blocks = { log: CONTENT, window: 0, bitmap: rangeBitmap({ window: 0, from: 0, to: 4 }) }
const KEEP_LOCKED = { code: 'KEEP_LOCKED' }

/** Keepers that all have the blocks; the first has a release of them that stands. */
async function setUp(keeperCount: number) {
  const set = plannedBook(keeperCount)
  for (const keeper of set.keepers) set.receive(keeper, 0, 10)
  const [dropper] = set.keepers
  assert(dropper)
  const { link } = set.entry(dropper)
  assert(link)
  const windows = [{ ...blocks, log: new Uint8Array(Buffer.from(CONTENT, 'hex')) }]
  const content = {
    drive: set.world.drive,
    keeper: filled(32, 1),
    kind: 'excess' as const,
    floor: 2,
    issuedMs: 0,
    windows
  }
  await link.release(signRelease(content, signingKeyPair(filled(32, 7))))
  const parts = { ...set.parts, book: set.book }
  const request: DropRequest = { link, blocks, floor: 2, signal: new AbortController().signal }
  return { ...set, dropper, parts, request }
}

t.test('with locks of as many others as the floor says the blocks are dropped', async t => {
  const { dropper, parts, request, world } = await setUp(3)
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED, 'the release waits')
  await world.run(RELEASE_DELAY_MS)
  t.equal(dropper.blocks.size, 0)
  const receipt = await dropBlocks(parts, request)
  t.same(receipt.bitmap, rangeBitmap({ window: 0, from: 4, to: 10 }))
})

t.test('too few others, one that refuses, or two on one machine: nothing is dropped', async t => {
  const { keepers, parts, request, world, book, entry } = await setUp(3)
  await world.run(RELEASE_DELAY_MS)
  const [dropper, left, right] = keepers
  assert(dropper && left && right)
  left.locks.mark(blocks)
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED)
  t.same(dropper.locks.marked(blocks), new Uint8Array(128), 'it is marked no more')
  left.locks = new KeepLocks(world)
  for (const keeper of [left, right]) book.roster.saidMachine(entry(keeper), '07'.repeat(16))
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED)
  book.roster.saidMachine(entry(left), '08'.repeat(16))
  book.roster.saidMachine(entry(dropper), '07'.repeat(16))
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED, "nor on the dropper's")
  book.roster.saidMachine(entry(dropper), '09'.repeat(16))
  book.doubt({ keeper: right.id, ...blocks }, blocks.bitmap)
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED, 'who could not prove them locks nothing')
})

t.test('this device locks what it keeps', async t => {
  const { parts, request, world } = await setUp(2)
  await world.run(RELEASE_DELAY_MS)
  await t.rejects(dropBlocks(parts, request), KEEP_LOCKED)
  let asked = 0
  const lock = (): never => {
    asked++
    throw new ReplicationError('KEEP_LOCKED', 'no')
  }
  const owning = {
    ...parts,
    own: { ...parts.own, counts: true },
    signer: { ...parts.signer, lock }
  }
  await t.rejects(dropBlocks(owning, request), KEEP_LOCKED)
  t.equal(asked, 1)
})
