/** A new drive can be had back from its words, and its device is attested by its person. */
import t from 'tap'
import { checkDeviceName, defaultDeviceName, makeNewDrive } from '../../bin/new-drive.ts'
import { deviceNameOf } from '../../bin/unlock-keys.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { openDriveKey } from '../../src/crypto/drive-key-envelope.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { newestLocator } from '../../src/crypto/locator-statement.ts'
import { openMemberStatement } from '../../src/crypto/member-statement.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const owner = { uid: 1000, gid: 100 }
const make = () => {
  const clock = new VirtualClock()
  return makeNewDrive({ deviceName: 'Schreibtisch', owner, random: systemRandom, clock })
}

t.test('makeNewDrive() seals the drive key to the words and to the device', async t => {
  const { words, content, firstOperations } = await make()
  const identity = await Identity.fromWords(words)
  t.strictSame(content.identity, identity.signing.publicKey)
  t.strictSame(content.recoveryKey, identity.recovery.publicKey)
  const envelopes = firstOperations.flatMap(operation =>
    operation.type === 'envelope' ? [operation.bytes] : []
  )
  const pairs = [content.deviceKeys.box, identity.recovery]
  t.equal(envelopes.length, pairs.length)
  for (const [at, keyPair] of pairs.entries()) {
    const envelope = envelopes[at] ?? new Uint8Array()
    const { keyId, key } = openDriveKey({ envelope, drive: content.drive, keyPair })
    t.strictSame(Buffer.from(key), Buffer.from(content.keys.get(keyId).key))
  }
  identity.clear()
})

t.test('makeNewDrive() attests the device, its name and the envelopes', async t => {
  const { content, firstOperations } = await make()
  const [first, ...others] = firstOperations
  t.equal(first?.type, 'statement')
  if (first?.type !== 'statement') return
  t.strictSame(content.statements, [first.bytes])
  const member = openMemberStatement(first.bytes)
  t.equal(member.action, 'attest')
  t.strictSame(member.signer, content.identity)
  t.strictSame(member.subject, content.deviceKeys.publicKeys)
  const bytes = others.flatMap(each => (each.type === 'envelope' ? [each.bytes] : []))
  t.strictSame(member.envelopesHash, blake2b(Buffer.concat(bytes)))
  t.equal(deviceNameOf(content), 'Schreibtisch')
})

t.test('makeNewDrive() tells all devices where the words look first', async t => {
  const { words, content, firstOperations } = await make()
  const statements = firstOperations.flatMap(each => (each.type === 'statement' ? each.bytes : []))
  const locator = newestLocator(statements, content.identity)
  const identity = await Identity.fromWords(words)
  t.equal(locator?.number, 0)
  t.strictSame(Buffer.from(locator?.secret ?? []), Buffer.from(identity.locatorSecret(0)))
  identity.clear()
})

t.test('makeNewDrive() gives the root directory to its owner', async t => {
  const { firstOperations } = await make()
  t.match(firstOperations.at(-1), { type: 'setattr', inode: ROOT_ID, ...owner, mode: 0o755 })
})

t.test('makeNewDrive() never makes the same twice', async t => {
  const [one, two] = await Promise.all([make(), make()])
  t.not(one.words, two.words)
  t.notSame(one.content.drive, two.content.drive)
  t.notSame(one.content.logSeed, two.content.logSeed)
})

t.test('names of devices fit and print', async t => {
  t.equal(checkDeviceName('Anna’s laptop'), 'Anna’s laptop')
  for (const name of ['', '  ', 'ü'.repeat(32), 'a\u0000b', 'a\nb', 'a\u009Bb'])
    t.throws(() => checkDeviceName(name), { code: 'USAGE' })
  t.equal(defaultDeviceName('desk.example.org'), 'desk.example.org')
  t.equal(defaultDeviceName('\u0007'), 'device')
  t.equal(defaultDeviceName('ü'.repeat(40)), 'ü'.repeat(31), 'cut between characters')
})
