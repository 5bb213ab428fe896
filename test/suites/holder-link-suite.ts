/**
 * What every {@link HolderLink} does, whatever is between it and the keeper.
 *
 * @module
 */
import type { Test } from 'tap'
import { auditHash } from '../../src/crypto/challenge.ts'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { hashBlock } from '../../src/crypto/block-hash.ts'
import { releaseHash, signCancel, signRelease, type ReleaseKind } from '../../src/crypto/release.ts'
import { signKeepLock } from '../../src/crypto/keep-lock.ts'
import { signingKeyPair, type KeyPair } from '../../src/crypto/sodium.ts'
import { receiptHash } from '../../src/crypto/receipt.ts'
import type { GrantedLock, HolderLink } from '../../src/replication/holder-link.ts'
import {
  countBits,
  emptyBitmap,
  hasBit,
  rangeBitmap,
  setBit,
  type BlockSet
} from '../../src/sync/block-bitmap.ts'
import { logKey, type LogKey } from '../../src/sync/log.ts'
import { filled, toHex } from '../support/bytes.ts'
import type { MemorySource } from '../support/memory-kept-logs.ts'

/** A link and what the test does behind it. */
export interface HolderLinkSubject {
  readonly link: HolderLink
  /** What the person's devices have. */
  readonly source: MemorySource
  /** The device that asks. */
  readonly device: DeviceKeys
  /** The keeper's signing key. */
  readonly keeper: Uint8Array
  readonly identity: KeyPair
  readonly drive: Uint8Array
  /** Makes a stored block unreadable. */
  readonly damage: (log: LogKey, index: number) => void
  readonly setQuota: (bytes: number) => Promise<void>
  /** Records of the hash table that the keeper was given. */
  readonly locators: readonly Uint8Array[]
}

/** How large the blocks of the suite are, in bytes. */
export const SUITE_BLOCK_BYTES = 1000

/** A log key of one digit. */
export function logOf(digit: string): LogKey {
  return logKey(digit.repeat(64))
}

/** The blocks from `from` up to but not including `to`, in the first window. */
export function blocksOf(log: LogKey, from: number, to: number): BlockSet {
  return { log, window: 0, bitmap: rangeBitmap({ window: 0, from, to }) }
}

/** So many blocks that differ. */
export function makeBlocks(count: number, seed = 0): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const block = filled(SUITE_BLOCK_BYTES, seed)
    new DataView(block.buffer).setUint32(0, index)
    return block
  })
}

const content = logOf('a')
const operations = logOf('b')
const unknown = logOf('c')

/** Runs the suite. */
export function holderLinkSuite(
  t: Test,
  name: string,
  create: (t: Test) => Promise<HolderLinkSubject>
): void {
  const stage = async (t: Test): Promise<HolderLinkSubject> => {
    const subject = await create(t)
    subject.source.add(content, makeBlocks(100))
    subject.source.add(operations, makeBlocks(10, 7), 'operation')
    return subject
  }
  const test = (what: string, run: (t: Test, subject: HolderLinkSubject) => Promise<void>): void =>
    void t.test(`${name}: ${what}`, async t => run(t, await stage(t)))

  test('hold() brings what lacks and signs for all of the window', async (t, subject) => {
    const { link, source, keeper, identity, drive } = subject
    const first = await link.hold(blocksOf(content, 3, 10))
    t.equal(toHex(first.signer), toHex(keeper))
    t.same([toHex(first.identity), toHex(first.drive)], [identity.publicKey, drive].map(toHex))
    t.same(first.bitmap, rangeBitmap({ window: 0, from: 3, to: 10 }))
    t.same([first.sequence, first.bytes, first.length], [1, 7 * SUITE_BLOCK_BYTES, 100])
    const second = await link.hold(blocksOf(content, 8, 12))
    t.same(second.bitmap, rangeBitmap({ window: 0, from: 3, to: 12 }))
    t.same([second.sequence, second.bytes], [2, 9 * SUITE_BLOCK_BYTES])
    t.same(second.previous, receiptHash(first.statement))
    t.ok(
      [...source.given.values()].every(count => count === 1),
      'each block came once'
    )
    const again = await link.hold(blocksOf(content, 3, 4))
    t.same([again.sequence, again.bitmap], [3, second.bitmap], 'a fresh receipt')
  })

  test('hold() of a window of an operation log', async (t, { link }) => {
    const receipt = await link.hold(blocksOf(operations, 0, 10))
    t.equal(countBits(receipt.bitmap), 10)
  })

  test('hold() of what is not known or does not come is UNAVAILABLE', async (t, subject) => {
    const { link, source } = subject
    await t.rejects(link.hold(blocksOf(unknown, 0, 1)), { code: 'UNAVAILABLE' })
    source.gives = (_, index) => index < 5
    await t.rejects(link.hold(blocksOf(content, 2, 8)), { code: 'UNAVAILABLE' })
    const [receipt, ...more] = await link.receipts(0)
    t.same(receipt?.bitmap, rangeBitmap({ window: 0, from: 2, to: 5 }), 'what came is kept')
    t.same(more, [])
    source.gives = () => true
    t.equal(countBits((await link.hold(blocksOf(content, 2, 8))).bitmap), 6)
    t.ok(
      [...source.given.values()].every(count => count === 1),
      'it went on where it was'
    )
  })

  test('hold() is FULL to the byte, and what fits is kept', async (t, subject) => {
    const { link, setQuota } = subject
    await setQuota(4 * SUITE_BLOCK_BYTES - 1)
    await t.rejects(link.hold(blocksOf(content, 0, 10)), { code: 'FULL' })
    const usage = await link.usage()
    t.same([usage.usedBytes, usage.quotaBytes], [3 * SUITE_BLOCK_BYTES, 4 * SUITE_BLOCK_BYTES - 1])
    t.same(
      (await link.receipts(0)).map(({ bytes }) => bytes),
      [3 * SUITE_BLOCK_BYTES]
    )
    await setQuota(4 * SUITE_BLOCK_BYTES)
    t.equal((await link.hold(blocksOf(content, 0, 4))).bytes, 4 * SUITE_BLOCK_BYTES)
    await t.rejects(link.hold(blocksOf(content, 4, 5)), { code: 'FULL' })
    await setQuota(0)
    t.equal((await link.receipts(0)).length, 1, 'a lower quota takes nothing away')
  })

  test('receipts() of each window the newest, after a sequence', async (t, { link, source }) => {
    source.add(logOf('d'), makeBlocks(5, 3))
    await link.hold(blocksOf(content, 0, 1))
    await link.hold(blocksOf(logOf('d'), 0, 5))
    await link.hold(blocksOf(content, 1, 2))
    t.same(
      (await link.receipts(0)).map(({ sequence }) => sequence),
      [2, 3]
    )
    t.same(
      (await link.receipts(2)).map(({ sequence }) => sequence),
      [3]
    )
    t.same(await link.receipts(3), [])
  })

  test('challenge() proves by hash and by blocks', async (t, { link, source, keeper }) => {
    await link.hold(blocksOf(content, 0, 20))
    const indexes = [1, 5, 19]
    const answer = await link.challenge({ log: content, indexes, mode: 'hash' })
    if (answer.kind !== 'hash') throw new Error(answer.kind)
    const blocks = indexes.map(index => ({
      index,
      bytes: source.logs.get(content)?.[index] ?? new Uint8Array(0)
    }))
    const subject = { nonce: answer.nonce, keeper, log: Buffer.from(content, 'hex') }
    t.equal(toHex(answer.hash), toHex(auditHash({ ...subject, blocks })))
    const sent = await link.challenge({ log: content, indexes, mode: 'blocks' })
    t.same(sent, { kind: 'blocks', blocks: blocks.map(({ bytes }) => bytes) })
    const next = await link.challenge({ log: content, indexes, mode: 'hash' })
    t.notSame(next, answer, 'no answer is like another')
  })

  test('challenge() of what is gone or damaged: missing, and no longer under receipt', async (t, s) => {
    const { link, damage, source } = s
    await link.hold(blocksOf(content, 0, 5))
    damage(content, 2)
    const answer = await link.challenge({ log: content, indexes: [1, 2, 7], mode: 'hash' })
    t.same(answer, { kind: 'missing', indexes: [2, 7] })
    const [receipt] = await link.receipts(1)
    t.equal(receipt !== undefined && hasBit(receipt.bitmap, 2), false)
    t.equal(receipt?.bytes, 4 * SUITE_BLOCK_BYTES)
    t.equal(countBits((await link.hold(blocksOf(content, 2, 3))).bitmap), 5, 'it came again')
    t.equal(source.given.get(`${content}/2`), 2)
    t.same(await link.challenge({ log: unknown, indexes: [0], mode: 'hash' }), {
      kind: 'missing',
      indexes: [0]
    })
  })

  test('fetch() gives the block that is meant and no other', async (t, { link, source }) => {
    await link.hold(blocksOf(content, 0, 5))
    const block = source.logs.get(content)?.[3] ?? new Uint8Array(0)
    const hash = hashBlock(block)
    t.same(await link.fetch({ log: content, index: 3, hash }), block)
    t.equal(await link.fetch({ log: content, index: 2, hash }), undefined)
    t.equal(await link.fetch({ log: content, index: 50, hash }), undefined)
    t.equal(await link.fetch({ log: unknown, index: 3, hash }), undefined)
  })

  test('durable() resolves when operations and blocks are here', async (t, { link, source }) => {
    const part = { logs: new Map([[operations, 10]]), blocks: [blocksOf(content, 0, 3)] }
    await link.durable(part)
    t.equal((await link.receipts(0)).length, 1)
    await link.durable(part)
    t.equal((await link.receipts(1)).length, 0, 'nothing was new')
    source.gives = () => false
    const late = { logs: new Map<LogKey, number>(), blocks: [blocksOf(content, 0, 9)] }
    await t.rejects(link.durable(late), { code: 'UNAVAILABLE' })
    await t.rejects(link.durable({ logs: new Map([[unknown, 1]]), blocks: [] }), {
      code: 'UNAVAILABLE'
    })
  })

  test('drop() takes a release and the locks of others', async (t, subject) => {
    const { link } = subject
    const before = await link.hold(blocksOf(content, 0, 10))
    const blocks = blocksOf(content, 2, 4)
    const attempt = await link.mark(blocks)
    const lock = await signedLock(subject, blocks, attempt)
    await t.rejects(link.drop(attempt, []), { code: 'KEEP_LOCKED' })
    await t.rejects(link.drop(attempt, [lock]), { code: 'KEEP_LOCKED' }, 'no release')
    await link.release(release(subject, 'excess', blocks, 2))
    await t.rejects(link.drop(attempt, [lock]), { code: 'KEEP_LOCKED' }, 'one lock of two')
    const other = await signedLock(subject, blocks, attempt, 2)
    const after = await link.drop(attempt, [lock, other])
    t.equal(countBits(after.bitmap), 8)
    t.equal(after.sequence, before.sequence + 1)
    t.same(await link.challenge({ log: content, indexes: [2, 4], mode: 'hash' }), {
      kind: 'missing',
      indexes: [2]
    })
    await t.rejects(link.drop(attempt, [lock, other]), { code: 'KEEP_LOCKED' }, 'it is over')
  })

  test('lock() and mark() exclude each other', async (t, { link, device }) => {
    await link.hold(blocksOf(content, 0, 10))
    const dropper = toHex(device.signing.publicKey)
    const attempt = filled(16, 1)
    const lock = (blocks: BlockSet): Promise<GrantedLock> =>
      link.lock({ ...blocks, dropper, attempt })
    const marked = await link.mark(blocksOf(content, 0, 2))
    await t.rejects(lock(blocksOf(content, 1, 3)), { code: 'KEEP_LOCKED' })
    await link.unmark(marked)
    t.ok((await lock(blocksOf(content, 1, 3))).statement.length > 0)
    await t.rejects(link.mark(blocksOf(content, 2, 3)), { code: 'KEEP_LOCKED' })
    await t.rejects(lock(blocksOf(content, 9, 11)), { code: 'UNAVAILABLE' }, 'not kept')
    await t.rejects(link.mark(blocksOf(content, 9, 11)), { code: 'UNAVAILABLE' })
  })

  test('release() of garbage by the identity takes effect at once', async (t, subject) => {
    const { link } = subject
    await link.hold(blocksOf(content, 0, 10))
    await link.release(release(subject, 'garbage', blocksOf(content, 0, 9)))
    const [receipt] = await link.receipts(1)
    t.equal(receipt && countBits(receipt.bitmap), 1)
    t.equal((await link.usage()).usedBytes, SUITE_BLOCK_BYTES)
  })

  test('releases() tells what waits, of whoever ordered it', async (t, subject) => {
    const { link } = subject
    await link.hold(blocksOf(content, 0, 10))
    t.same(await link.releases(), [])
    const statements = [2, 3].map(floor =>
      release(subject, 'excess', blocksOf(content, 0, floor), floor)
    )
    for (const statement of statements) await link.release(statement)
    const held = await link.releases()
    t.same(
      held.map(({ statement }) => toHex(statement)).toSorted(),
      statements.map(toHex).toSorted()
    )
    const [first = filled(0, 0)] = statements
    await link.release(signCancel({ release: releaseHash(first), issuedMs: 1 }, subject.identity))
    t.equal((await link.releases()).length, 1)
  })

  test('summaries() and putLocator()', async (t, { link, locators }) => {
    t.same(await link.summaries(), [])
    await link.putSummary(filled(70_000, 1))
    await link.putSummary(filled(90_000, 2))
    t.same(await link.summaries(), [filled(90_000, 2)])
    t.equal((await link.usage()).usedBytes, 90_000)
    await link.putLocator(filled(900, 3))
    t.same(locators, [filled(900, 3)])
  })

  test('a call can be given up', async (t, { link, source }) => {
    source.whenReady = () => new Promise(() => undefined)
    const controller = new AbortController()
    const { signal } = controller
    const held = link.hold(blocksOf(content, 0, 1), { signal })
    controller.abort()
    await t.rejects(held, { code: 'INTERRUPTED' })
    await t.rejects(link.hold(blocksOf(content, 0, 1), { signal }), { code: 'INTERRUPTED' })
  })

  test('a hold of no block signs for what is kept', async (t, { link }) => {
    const none = { log: content, window: 0, bitmap: emptyBitmap() }
    t.equal((await link.hold(none)).bytes, 0)
    const bitmap = emptyBitmap()
    setBit(bitmap, 1030)
    await t.rejects(link.hold({ log: content, window: 1, bitmap }), { code: 'UNAVAILABLE' })
  })
}

function release(
  { identity, drive, keeper }: HolderLinkSubject,
  kind: ReleaseKind,
  { log, window, bitmap }: BlockSet,
  floor = 1
): Uint8Array {
  const windows = [{ log: Buffer.from(log, 'hex'), window, bitmap }]
  return signRelease({ drive, keeper, kind, floor, issuedMs: 2 ** 42, windows }, identity)
}

function signedLock(
  { keeper }: HolderLinkSubject,
  { log, window, bitmap }: BlockSet,
  attempt: Uint8Array,
  number = 1
): GrantedLock {
  const locker = signingKeyPair(filled(32, number))
  const place = { log: Buffer.from(log, 'hex'), window, bitmap }
  const times = { grantedMs: 1, expiresMs: 2 }
  return { statement: signKeepLock({ dropper: keeper, attempt, ...place, ...times }, locker) }
}
