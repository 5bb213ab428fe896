/** A device made of words: attested, known by its name, and the lost ones put out. */
import t from 'tap'
import { makeRecoveredDevice, signHello, type OtherDevices } from '../../bin/recovered-device.ts'
import { deviceNameOf } from '../../bin/unlock-keys.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { openDriveKey } from '../../src/crypto/drive-key-envelope.ts'
import { LOCATOR_NUMBERS_MAX, newestLocator } from '../../src/crypto/locator-statement.ts'
import { openMemberStatement } from '../../src/crypto/member-statement.ts'
import { blake2bOfParts } from '../../src/crypto/sodium.ts'
import { RecoveredSummaries } from '../../src/replication/recovered-summaries.ts'
import { Members, memberId } from '../../src/sync/members.ts'
import { toHex } from '../support/bytes.ts'
import { RecoverableDrive } from '../support/recoverable-drive.ts'

async function make(others: OtherDevices, locatorNumber = 0) {
  const drive = await RecoverableDrive.make()
  const identity = await drive.identity()
  const phone = DeviceKeys.generate(drive.random)
  await drive.say('attest', phone)
  const [pair] = drive.announcements
  if (pair === undefined) throw new Error('no pair')
  drive.lengths.set(pair.operationLog.key, 5)
  const { drive: id } = drive.made.content
  const summaryKeys = [drive.locator.summaryKey]
  const summaries = new RecoveredSummaries({
    identity: drive.made.content.identity,
    drive: id,
    summaryKeys
  })
  summaries.add(await drive.summary())
  const deviceKeys = DeviceKeys.generate(drive.random)
  const parts = { identity, deviceKeys, timeMs: 1_000, random: drive.random, locatorNumber, others }
  const recovered = summaries.combine(identity.recovery)
  const device = makeRecoveredDevice({ ...parts, recovered, drive: id, deviceName: 'new' })
  const { keys, statements } = device.content
  const members = new Members({ identity: device.content.identity, keys, statements })
  const own = members.bySigning(memberId(deviceKeys.signing.publicKey))
  const envelopes = device.firstOperations.flatMap(each =>
    each.type === 'envelope' ? [each.bytes] : []
  )
  return { drive, identity, device, members, own, deviceKeys, envelopes, pair }
}

t.test('the device is a member, and the others stay', async t => {
  const { device, members, own, envelopes, drive } = await make('kept')
  t.equal(own?.name, 'new')
  t.equal(deviceNameOf(device.content), 'new')
  t.equal(own?.isSuspended, false)
  t.same(
    members.all().map(({ isSuspended }) => isSuspended),
    [false, false, false]
  )
  t.same(device.revoked, [])
  t.same(envelopes, [])
  t.equal(device.content.keys.size, 1)
  const said = device.firstOperations.flatMap(each =>
    each.type === 'statement' ? [each.bytes] : []
  )
  t.equal(newestLocator(said, device.content.identity)?.number, 0)
  t.same(said[0], device.content.statements.at(-1))
  t.equal(openMemberStatement(said[0] ?? new Uint8Array(0)).listVersion, 3)
  t.equal(drive.members.head.listVersion, 3, 'it follows what there was')
})

t.test('lost devices are put out, where their logs are known to end', async t => {
  const { device, members, own, pair } = await make('lost')
  t.same(device.revoked.map(({ name }) => name).length, 2)
  t.equal(members.all().filter(({ isSuspended }) => isSuspended).length, 2)
  t.equal(own?.isSuspended, false)
  t.equal(device.content.keys.size, 1, 'the key stays')
  const revocations = device.content.statements
    .map(openMemberStatement)
    .filter(({ action }) => action === 'revoke')
  const cut = revocations.flatMap(({ cuts }) => cuts)
  t.same(
    cut.map(({ log, length }) => [toHex(log), length]),
    [[pair.operationLog.key, 5]]
  )
})

t.test('after a theft drive key and locator secret are new', async t => {
  const { identity, device, deviceKeys, envelopes, drive } = await make('stolen')
  const { keys, statements } = device.content
  t.equal(keys.currentKeyId, 2)
  t.equal(device.revoked.length, 2)
  const pairs = [deviceKeys.box, identity.recovery]
  t.equal(envelopes.length, 2)
  for (const [at, keyPair] of pairs.entries()) {
    const envelope = envelopes[at] ?? new Uint8Array(0)
    const row = openDriveKey({ envelope, drive: drive.made.content.drive, keyPair })
    t.equal(toHex(row.key), toHex(keys.get(2).key))
  }
  const attested = statements
    .map(openMemberStatement)
    .find(({ subject }) => toHex(subject.signing) === toHex(deviceKeys.signing.publicKey))
  t.same(attested?.envelopesHash, blake2bOfParts(envelopes))
  const said = device.firstOperations.flatMap(each =>
    each.type === 'statement' ? [each.bytes] : []
  )
  t.equal(newestLocator(said, device.content.identity)?.number, 1)
  const last = await make('stolen', LOCATOR_NUMBERS_MAX - 1)
  const again = last.device.firstOperations.flatMap(each =>
    each.type === 'statement' ? [each.bytes] : []
  )
  t.equal(newestLocator(again, last.device.content.identity)?.number, LOCATOR_NUMBERS_MAX - 1)
})

t.test('a greeting is an attestation by the identity alone', async t => {
  const drive = await RecoverableDrive.make()
  const identity = await drive.identity()
  const deviceKeys = DeviceKeys.generate(drive.random)
  const hello = signHello({ identity, deviceKeys, timeMs: 5 })
  const person = identity.signing.publicKey
  const keys = drive.made.content.keys
  const members = new Members({ identity: person, keys, statements: [hello] })
  t.equal(members.byNetwork(deviceKeys.network.publicKey)?.isSuspended, false)
})
