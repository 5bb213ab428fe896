/** When leave to delete takes effect, and what stops it. */
import t from 'tap'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import {
  RELEASE_DELAY_MS,
  releaseHash,
  signCancel,
  signRelease,
  type ReleaseContent
} from '../../src/crypto/release.ts'
import { signingKeyPair, type KeyPair } from '../../src/crypto/sodium.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import {
  KeeperReleases,
  RELEASE_AGE_MS_MAX,
  RELEASES_MAX
} from '../../src/replication/keeper-releases.ts'
import { emptyBitmap, isEmptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { Members } from '../../src/sync/members.ts'
import { logOf } from '../suites/holder-link-suite.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

const keeper = filled(32, 8)
const place = { log: logOf('a'), window: 0 }
const bitmap = rangeBitmap({ window: 0, from: 0, to: 5 })

interface Stage {
  readonly releases: KeeperReleases
  readonly clock: VirtualClock
  readonly drive: ReplicatedDrive
  readonly members: Members
  readonly devices: readonly [DeviceKeys, DeviceKeys]
  readonly release: (change?: Partial<ReleaseContent>, by?: KeyPair) => Uint8Array
  readonly cancel: (bytes: Uint8Array, by: KeyPair) => Uint8Array
  readonly due: () => number
  /** The same after a restart. */
  readonly again: () => KeeperReleases
}

async function stage(): Promise<Stage> {
  const drive = await ReplicatedDrive.make()
  const devices = [drive.newKeys(), drive.newKeys()] as const
  for (const device of devices) drive.state('attest', device)
  const { identity, keys, statements } = drive
  const members = new Members({ identity, keys, statements })
  const clock = new VirtualClock()
  const store = new MemoryKeyValueStore()
  const parts = { identity, drive: drive.drive, members, keeper, clock }
  const open = (kept: MemoryKeyValueStore): KeeperReleases =>
    new KeeperReleases({ ...parts, records: new KeeperRecords(kept) })
  const releases = open(store)
  const release: Stage['release'] = (change, by = devices[0].signing) => {
    const windows = [{ log: Buffer.from(place.log, 'hex'), window: place.window, bitmap }]
    const issuedMs = VIRTUAL_START_SEC * 1000
    const content = { drive: drive.drive, keeper, kind: 'garbage', floor: 1, issuedMs } as const
    return signRelease({ ...content, windows, ...change }, by)
  }
  const cancel: Stage['cancel'] = (bytes, by) =>
    signCancel({ release: releaseHash(bytes), issuedMs: 1 }, by)
  const due = (): number => [...releases.dueGarbage()].length
  const again = (): KeeperReleases => open(store.copy())
  return { releases, clock, drive, members, devices, release, cancel, due, again }
}

t.test("a device's release takes effect seven days after it came", async t => {
  const { releases, clock, release, due, again } = await stage()
  await releases.add(release())
  clock.advance(RELEASE_DELAY_MS - 1)
  await releases.add(release())
  t.equal(due(), 0, 'handed over again it waits no longer, and no less')
  clock.advance(1)
  t.equal(due(), 1)
  t.equal([...again().dueGarbage()].length, 1, 'also after a restart')
  const [one] = [...releases.dueGarbage()]
  t.same(one?.blocks, [{ ...place, bitmap }])
  await releases.done(one?.key ?? filled(0, 0))
  t.equal(due(), 0)
})

t.test("the identity's takes effect at once", async t => {
  const { releases, release, due, drive } = await stage()
  await releases.add(release({}, drive.identityKeys))
  t.equal(due(), 1)
})

t.test('any other member cancels it, before or after it comes, and for good', async t => {
  for (const isFirst of [true, false])
    for (const who of ['device', 'identity'] as const) {
      const { releases, clock, release, cancel, due, devices, drive } = await stage()
      const bytes = release()
      const by = who === 'device' ? devices[1].signing : drive.identityKeys
      if (!isFirst) await releases.add(bytes)
      await releases.add(cancel(bytes, by))
      await releases.add(bytes)
      clock.advance(RELEASE_DELAY_MS)
      t.equal(due(), 0, `${who}, ${isFirst ? 'before' : 'after'}`)
    }
})

t.test('who may not release or cancel is refused', async t => {
  const { releases, release, cancel, devices, members, drive, clock, due } = await stage()
  const nobody = signingKeyPair(filled(32, 9))
  const code = 'REFUSED'
  await t.rejects(releases.add(release({}, nobody)), { code })
  await t.rejects(releases.add(release({ drive: filled(32, 1) })), { code })
  await t.rejects(releases.add(release({ keeper: filled(32, 1) })), { code })
  await t.rejects(releases.add(cancel(release(), nobody)), { code })
  await t.rejects(releases.add(filled(300, 1)), { name: 'CryptoError' })
  await releases.add(release())
  members.add(drive.state('suspend', devices[0]))
  clock.advance(RELEASE_DELAY_MS)
  t.equal(due(), 0, 'who was suspended since releases nothing')
  await t.rejects(releases.add(release({ floor: 2 })), { code }, 'and never again')
  await t.rejects(releases.add(cancel(release(), devices[0].signing)), { code })
})

t.test('all members see what waits, in the order of the hashes', async t => {
  const { releases, release, cancel, devices, clock } = await stage()
  const all = [1, 2, 3].map(floor => release({ floor }))
  for (const one of all) {
    await releases.add(one)
    clock.advance(1)
  }
  await releases.add(cancel(all[1] ?? filled(0, 0), devices[1].signing))
  const seen: Uint8Array[] = []
  let after: Uint8Array = filled(32, 0)
  for (let next = releases.next(after); next !== undefined; next = releases.next(after)) {
    seen.push(next.statement)
    const isFirst = Buffer.compare(next.statement, all[0] ?? filled(0, 0)) === 0
    t.equal(next.receivedMs, VIRTUAL_START_SEC * 1000 + (isFirst ? 0 : 2))
    t.equal(Buffer.compare(releaseHash(next.statement), after), 1)
    after = releaseHash(next.statement)
  }
  const kept = [all[0], all[2]].map(bytes => toHex(bytes ?? filled(0, 0)))
  t.same(seen.map(toHex).toSorted(), kept.toSorted())
})

t.test('what is asked for again is no garbage, however often it is said to be', async t => {
  const { releases, clock, release, due } = await stage()
  const other = { ...place, window: place.window + 1 }
  const windows = [{ ...other, log: Buffer.from(place.log, 'hex'), bitmap }]
  await releases.add(release({ windows }))
  await releases.add(release({ kind: 'excess', floor: 3 }))
  for (let round = 0; round <= RELEASES_MAX; round++) {
    const bytes = release({ issuedMs: VIRTUAL_START_SEC * 1000 + round })
    await releases.add(bytes)
    await releases.takeBackGarbage({ ...place, bitmap: emptyBitmap() })
    t.equal(releases.isWaiting(releaseHash(bytes)), true)
    await releases.takeBackGarbage({ ...place, bitmap })
    t.equal(releases.isWaiting(releaseHash(bytes)), false)
  }
  clock.advance(RELEASE_DELAY_MS)
  t.equal(due(), 1, 'what is about another window stays')
  t.same(releases.excess(place).bitmap, bitmap, 'and what is no garbage')
})

t.test('excess is left to drops with locks', async t => {
  const { releases, clock, release, due } = await stage()
  await releases.add(release({ kind: 'excess', floor: 3 }))
  t.ok(isEmptyBitmap(releases.excess(place).bitmap), 'not yet')
  clock.advance(RELEASE_DELAY_MS)
  t.equal(due(), 0, 'it is no garbage')
  t.same(releases.excess(place), { bitmap, floor: 3 })
  t.same(releases.excess({ ...place, window: 1 }).bitmap, emptyBitmap())
  clock.advance(RELEASE_AGE_MS_MAX)
  await releases.forgetOld()
  t.ok(isEmptyBitmap(releases.excess(place).bitmap), 'it does not last for ever')
})

t.test('an old release is refused, so that none is replayed', async t => {
  const { releases, clock, release } = await stage()
  clock.advance(RELEASE_AGE_MS_MAX + 1)
  await t.rejects(releases.add(release()), { code: 'REFUSED' })
})

t.test('there are no more than so many', async t => {
  const { releases, release } = await stage()
  for (let floor = 0; floor < RELEASES_MAX; floor++) await releases.add(release({ floor }))
  await t.rejects(releases.add(release({ kind: 'excess' })), { code: 'FULL' })
})
