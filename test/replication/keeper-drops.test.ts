/** Dropping at a keeper: what it takes, and what it never does. */
import t from 'tap'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { openKeepLock, signKeepLock } from '../../src/crypto/keep-lock.ts'
import { RELEASE_DELAY_MS, signRelease, type ReleaseKind } from '../../src/crypto/release.ts'
import { signingKeyPair, type KeyPair } from '../../src/crypto/sodium.ts'
import { DROP_ATTEMPT_MS } from '../../src/replication/keep-lock.ts'
import { KeeperDrops } from '../../src/replication/keeper-drops.ts'
import { countBits, type BlockSet } from '../../src/sync/block-bitmap.ts'
import { blocksOf, logOf, makeBlocks, SUITE_BLOCK_BYTES } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeeper } from '../support/memory-keeper.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')
const operations = logOf('b')
const blocks = blocksOf(log, 2, 5)

interface Stage {
  readonly drops: KeeperDrops
  readonly keeper: MemoryKeeper
  readonly drive: ReplicatedDrive
  readonly device: DeviceKeys
  readonly clock: VirtualClock
  readonly kept: () => number
  readonly release: (kind: ReleaseKind, what?: BlockSet, floor?: number) => Uint8Array
  readonly lock: (attempt: Uint8Array, number?: number, change?: Partial<Change>) => Uint8Array
}

interface Change {
  readonly by: KeyPair
  readonly what: BlockSet
  readonly dropper: Uint8Array
}

async function stage(): Promise<Stage> {
  const drive = await ReplicatedDrive.make()
  const device = drive.newKeys()
  drive.state('attest', device)
  const source = new MemorySource()
  source.add(log, makeBlocks(10))
  source.add(operations, makeBlocks(10, 3), 'operation')
  const clock = new VirtualClock()
  const keeper = new MemoryKeeper({ drive, source, clock })
  const { person } = keeper
  const { signal } = new AbortController()
  await person.holds.hold(blocksOf(log, 0, 10), signal)
  await person.holds.hold(blocksOf(operations, 0, 10), signal)
  const self = keeper.keys.signing.publicKey
  const release: Stage['release'] = (kind, what = blocks, floor = 1) => {
    const windows = [{ ...what, log: Buffer.from(what.log, 'hex') }]
    const issuedMs = VIRTUAL_START_SEC * 1000
    const content = { drive: drive.drive, keeper: self, kind, floor, issuedMs, windows }
    return signRelease(content, device.signing)
  }
  const lock: Stage['lock'] = (attempt, number = 1, change = {}) => {
    const { by = signingKeyPair(filled(32, number)), what = blocks, dropper = self } = change
    const window = { ...what, log: Buffer.from(what.log, 'hex') }
    return signKeepLock({ ...window, dropper, attempt, grantedMs: 1, expiresMs: 2 }, by)
  }
  const kept = (): number => countBits(person.book.kept({ log, window: 0 }))
  return { drops: person.drops, keeper, drive, device, clock, kept, release, lock }
}

t.test('drop() without enough is KEEP_LOCKED and drops nothing', async t => {
  const made = await stage()
  const { drops, keeper, clock, kept, lock, release } = made
  const code = 'KEEP_LOCKED'
  await keeper.person.releases.add(release('excess', blocks, 2))
  const early = await drops.mark(blocks)
  await t.rejects(drops.drop(early, [lock(early), lock(early, 2)]), { code }, 'too early')
  drops.unmark(early)
  clock.advance(RELEASE_DELAY_MS)
  const attempt = await drops.mark(blocks)
  const drop = (...locks: Uint8Array[]): Promise<Uint8Array> => drops.drop(attempt, locks)
  await t.rejects(drop(), { code }, 'no lock')
  await t.rejects(drop(lock(attempt)), { code }, 'one of two')
  await t.rejects(drop(lock(attempt), lock(attempt)), { code }, 'one twice')
  await t.rejects(drop(lock(attempt), lock(early, 2)), { code }, 'of another attempt')
  const few = lock(attempt, 2, { what: blocksOf(log, 2, 4) })
  await t.rejects(drop(lock(attempt), few), { code }, 'of too few blocks')
  const elsewhere = lock(attempt, 2, { what: { ...blocks, window: 1 } })
  await t.rejects(drop(lock(attempt), elsewhere), { code }, 'of another window')
  const self = lock(attempt, 2, { by: keeper.keys.signing })
  await t.rejects(drop(lock(attempt), self), { code }, 'its own')
  const foreign = lock(attempt, 2, { dropper: filled(32, 9) })
  await t.rejects(drop(lock(attempt), foreign), { code }, 'of another dropper')
  await t.rejects(drop(lock(attempt), filled(300, 1)), { name: 'CryptoError' })
  await t.rejects(drops.drop(filled(16, 1), [lock(attempt), lock(attempt, 2)]), { code })
  t.equal(kept(), 10)
  await drop(lock(attempt), lock(attempt, 2))
  t.equal(kept(), 7)
  t.equal(keeper.person.space.usedBytes, 7 * SUITE_BLOCK_BYTES)
})

t.test('an attempt that nobody ends is over some time', async t => {
  const { drops, keeper, clock, lock, release } = await stage()
  await keeper.person.releases.add(release('excess'))
  clock.advance(RELEASE_DELAY_MS)
  const attempt = await drops.mark(blocks)
  clock.advance(DROP_ATTEMPT_MS)
  await t.rejects(drops.drop(attempt, [lock(attempt)]), { code: 'KEEP_LOCKED' })
})

t.test('a disk that fails drops nothing, and the attempt goes on', async t => {
  const { drops, keeper, clock, kept, lock, release } = await stage()
  await keeper.person.releases.add(release('excess'))
  clock.advance(RELEASE_DELAY_MS)
  const attempt = await drops.mark(blocks)
  keeper.logs.failAfter = 0
  await t.rejects(drops.drop(attempt, [lock(attempt)]), { code: 'IO' })
  t.equal(kept(), 10)
  await drops.drop(attempt, [lock(attempt)])
  t.equal(kept(), 7)
})

t.test('garbage goes when its time has come, and counts until then', async t => {
  const { drops, keeper, clock, kept, release } = await stage()
  await keeper.person.releases.add(release('garbage', blocksOf(log, 0, 9)))
  clock.advance(RELEASE_DELAY_MS - 1)
  await drops.dropGarbage()
  t.same([kept(), keeper.person.usage.usedBytes], [10, 10 * SUITE_BLOCK_BYTES])
  clock.advance(1)
  await drops.dropGarbage()
  t.same([kept(), keeper.person.usage.usedBytes], [1, SUITE_BLOCK_BYTES])
})

t.test('garbage that somebody asks for is none, whoever else said so', async t => {
  const { drops, keeper, clock, kept, release } = await stage()
  const { person } = keeper
  const { signal } = new AbortController()
  await person.releases.add(release('garbage', blocksOf(log, 0, 5)))
  await person.releases.add(release('garbage', blocksOf(log, 5, 9)))
  clock.advance(RELEASE_DELAY_MS - 1)
  await person.hold(blocksOf(log, 4, 5), signal)
  clock.advance(1)
  await drops.dropGarbage()
  t.equal(kept(), 6, 'the other release takes effect')

  await person.releases.add(release('garbage', blocksOf(log, 0, 4)))
  clock.advance(RELEASE_DELAY_MS)
  await Promise.all([drops.dropGarbage(), person.hold(blocksOf(log, 0, 4), signal)])
  t.equal(kept(), 6, 'at the last moment too')

  await person.releases.add(release('garbage', blocksOf(log, 0, 4), 7))
  await person.durable({ logs: new Map(), blocks: [blocksOf(log, 1, 2)] }, signal)
  clock.advance(RELEASE_DELAY_MS)
  await drops.dropGarbage()
  t.equal(kept(), 6, 'for an fsync too')
})

t.test('operations are never dropped', async t => {
  const { drops, keeper, clock, release } = await stage()
  const window = blocksOf(operations, 0, 10)
  await t.rejects(drops.mark(window), { code: 'UNAVAILABLE' })
  await keeper.person.releases.add(release('garbage', window))
  clock.advance(RELEASE_DELAY_MS)
  await drops.dropGarbage()
  t.equal(countBits(keeper.person.book.kept(window)), 10)
})

t.test('a lock says what was asked for and until when', async t => {
  const { drops, keeper } = await stage()
  const request = { blocks, dropper: filled(32, 7), attempt: filled(16, 6) }
  const lock = openKeepLock(await drops.lock(request), { signer: keeper.keys.signing.publicKey })
  t.match(lock, { dropper: filled(32, 7), attempt: filled(16, 6), window: 0 })
  t.same(lock.bitmap, blocks.bitmap)
  t.equal(lock.grantedMs, VIRTUAL_START_SEC * 1000)
  t.ok(lock.expiresMs > lock.grantedMs)
  t.ok(drops instanceof KeeperDrops)
})
