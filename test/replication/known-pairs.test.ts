/** Which announced pairs are taken: those of members, once, and not without end. */
import t from 'tap'
import { epochLog } from '../../bin/log-epochs.ts'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { KnownPairs, PAIRS_PER_DEVICE_MAX } from '../../src/replication/known-pairs.ts'
import { devicesOf, hasPassed } from '../../src/sync/device-heads.ts'
import { signAnnouncement } from '../../src/replication/log-announcement.ts'
import { ReplicatedDrive, type ReplicatedDevice } from '../support/replicated-drive.ts'

const DIGITS = 32

/** What a device announces of an epoch. */
function announced(drive: ReplicatedDrive, deviceKeys: DeviceKeys, number: number): Uint8Array {
  const epoch = { number, random: number.toString(16).padStart(DIGITS, '0') }
  const keys = { deviceKeys, drive: drive.drive, logSeed: new Uint8Array(32) }
  return signAnnouncement(
    {
      drive: drive.drive,
      epoch: number,
      operationLog: epochLog(keys, epoch, 'operation'),
      contentLog: epochLog(keys, epoch, 'content')
    },
    deviceKeys.signing
  )
}

async function withDevice(
  run: (drive: ReplicatedDrive, device: ReplicatedDevice) => Promise<void>
): Promise<void> {
  const drive = await ReplicatedDrive.make()
  const device = await drive.device('a')
  try {
    await run(drive, device)
  } finally {
    await device.close()
  }
}

t.test('a pair is taken once a member is known that announced it', async t =>
  withDevice(async (drive, { pairs, members }) => {
    const other = drive.newKeys()
    const bytes = announced(drive, other, 1)
    const added: string[] = []
    pairs.onAdded = pair => added.push(pair.announcement.device)
    t.equal(await pairs.add(bytes), 'waiting')
    t.same([pairs.remotes, added], [[], []])
    members.add(drive.state('attest', other, 'other'))
    t.equal(await pairs.add(bytes), 'added')
    t.same(added, [Buffer.from(other.publicKeys.signing).toString('hex')])
    t.equal(pairs.remotes[0]?.operationLog.length, 0)
    t.equal(pairs.remotes[0]?.contentLog.has(0), false)
  })
)

t.test('two announcements of one pair at a time open it once', async t =>
  withDevice(async (drive, { pairs, members }) => {
    const other = drive.newKeys()
    members.add(drive.state('attest', other, 'other'))
    const bytes = announced(drive, other, 1)
    const added: string[] = []
    pairs.onAdded = pair => added.push(pair.device)
    t.same(await Promise.all([pairs.add(bytes), pairs.add(bytes)]), ['added', 'known'])
    t.equal(await pairs.add(bytes), 'known')
    t.same(added, ['other'])
    t.equal(pairs.remotes.length, 1)
    t.equal(pairs.announcements.length, 2)
    t.same(Buffer.from(pairs.announcements[1]?.bytes ?? []), Buffer.from(bytes))
  })
)

t.test('what is not an announcement of this drive is refused', async t =>
  withDevice(async (drive, { pairs, members }) => {
    const other = drive.newKeys()
    members.add(drive.state('attest', other, 'other'))
    const bytes = announced(drive, other, 1)
    bytes[100] = (bytes[100] ?? 0) ^ 1
    t.equal(await pairs.add(bytes), 'refused')
    t.equal(await pairs.add(new Uint8Array(0)), 'refused')
    const elsewhere = await ReplicatedDrive.make(2)
    t.equal(await pairs.add(announced(elsewhere, other, 1)), 'refused')
    t.same(pairs.remotes, [])
  })
)

t.test('the pairs of this device are known and never remote', async t =>
  withDevice(async (drive, { pairs, options, operationLog, contentLog }) => {
    const [own] = pairs.announcements
    t.equal(pairs.current, own)
    t.equal(await pairs.add(own?.bytes ?? new Uint8Array(0)), 'known')
    t.ok(pairs.isOwn(operationLog.key) && pairs.isOwn(contentLog.key))
    t.equal(
      await pairs.add(announced(drive, options.deviceKeys, 9)),
      'added',
      'but of a lost epoch'
    )
    t.equal(pairs.remotes[0]?.device, 'a')
  })
)

t.test('the epochs of one device count as one device', async t =>
  withDevice(async (drive, { pairs, members, operationLog: own }) => {
    const other = drive.newKeys()
    members.add(drive.state('attest', other, 'other'))
    t.equal(await pairs.add(announced(drive, other, 1)), 'added')
    t.equal(await pairs.add(announced(drive, other, 2)), 'added')
    const [first, second] = pairs.remotes.map(pair => pair.operationLog.key)
    const id = Buffer.from(other.publicKeys.signing).toString('hex')
    t.same(
      pairs.remotes.map(pair => pair.deviceId),
      [id, id]
    )
    if (first === undefined || second === undefined) return
    const seen = new Map([
      [first, 3],
      [own.key, 5]
    ])
    const devices = devicesOf(pairs.remotes, log =>
      log === second ? { log, length: 1, seen } : { log, length: 3, seen: new Map() }
    )
    t.equal(devices.length, 1)
    const by = { log: own.key, index: 4, number: 0 }
    t.ok(
      devices.every(device => hasPassed(device, by)),
      'the ended epoch holds nothing back'
    )
  })
)

t.test('a suspended member keeps its pairs, and its name', async t =>
  withDevice(async (drive, { pairs, members }) => {
    const other = drive.newKeys()
    members.add(drive.state('attest', other, 'other'))
    members.add(drive.state('suspend', other))
    t.equal(await pairs.add(announced(drive, other, 1)), 'added')
    t.equal(pairs.remotes[0]?.device, 'other')
  })
)

t.test('a device has no more pairs than a number', async t =>
  withDevice(async (drive, { pairs, members }) => {
    const [other, third] = [drive.newKeys(), drive.newKeys()]
    members.add(drive.state('attest', other, 'other'))
    members.add(drive.state('attest', third, 'third'))
    for (let number = 1; number <= PAIRS_PER_DEVICE_MAX; number++)
      if ((await pairs.add(announced(drive, other, number))) !== 'added') t.fail(String(number))
    t.equal(await pairs.add(announced(drive, other, 99_999)), 'refused')
    t.equal(await pairs.add(announced(drive, other, 1)), 'known')
    t.equal(await pairs.add(announced(drive, third, 1)), 'added', 'another device does')
  })
)

t.test('pairs whose logs do not open count for nothing, those under way do', async t =>
  withDevice(async (drive, { pairs, members, logHome }) => {
    const other = drive.newKeys()
    members.add(drive.state('attest', other, 'other'))
    const open = logHome.openRemoteLog.bind(logHome)
    logHome.openRemoteLog = () => Promise.reject(new Error('no disk'))
    for (let number = 1; number <= PAIRS_PER_DEVICE_MAX; number++)
      await t.rejects(pairs.add(announced(drive, other, number)), { message: 'no disk' })
    logHome.openRemoteLog = open
    const numbers = Array.from({ length: PAIRS_PER_DEVICE_MAX + 1 }, (_, index) => index + 1)
    const outcomes = await Promise.all(
      numbers.map(number => pairs.add(announced(drive, other, number)))
    )
    t.equal(outcomes.filter(outcome => outcome === 'added').length, PAIRS_PER_DEVICE_MAX)
    t.equal(outcomes.at(-1), 'refused')
  })
)

t.test('KnownPairs without logs of its own has no current pair', async t =>
  withDevice(async (drive, { logHome, members }) => {
    t.equal(new KnownPairs({ logHome, members, drive: drive.drive }).current, undefined)
  })
)
