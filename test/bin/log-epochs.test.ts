/** Epochs are kept exactly, and each gives logs that belong to this device and drive alone. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { epochLog, nextEpoch, readEpochs, writeEpochs } from '../../bin/log-epochs.ts'
import { makeNewDrive } from '../../bin/new-drive.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { decodeStatement, verifyStatement } from '../../src/crypto/statement.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { temporaryFolder } from './temporary-folder.ts'

const newKeys = async () => {
  const clock = new VirtualClock()
  return (
    await makeNewDrive({
      deviceName: 'desk',
      owner: { uid: 0, gid: 0 },
      random: systemRandom,
      clock
    })
  ).content
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

t.test('writeEpochs() keeps what readEpochs() gives back', async t => {
  const path = join(await temporaryFolder(t), 'epochs.json')
  t.strictSame(await readEpochs(path), [])
  const first = nextEpoch(undefined, systemRandom)
  const second = nextEpoch(first, systemRandom)
  t.match([first.number, second.number], [1, 2])
  await writeEpochs(path, [first, second])
  t.strictSame(await readEpochs(path), [first, second])
})

t.test('readEpochs() refuses damage and the future', async t => {
  const path = join(await temporaryFolder(t), 'epochs.json')
  const random = '0'.repeat(32)
  for (const [content, code] of [
    ['', 'DAMAGED'],
    ['null', 'DAMAGED'],
    ['{"version":1}', 'DAMAGED'],
    ['{"version":1,"epochs":[{"number":0,"random":"' + random + '"}]}', 'DAMAGED'],
    ['{"version":1,"epochs":[{"number":1,"random":"xyz"}]}', 'DAMAGED'],
    ['{"version":2,"epochs":"something new"}', 'NEWER_FORMAT']
  ] as const) {
    await writeFile(path, content)
    await t.rejects(readEpochs(path), { code }, content)
  }
})

t.test('epochLog() differs by role, epoch, drive and draw, and by nothing else', async t => {
  const [keys, other] = await Promise.all([newKeys(), newKeys()])
  const epoch = { number: 1, random: '1'.repeat(32) }
  const variants = [
    epochLog(keys, epoch, 'operation'),
    epochLog(keys, epoch, 'content'),
    epochLog(keys, { ...epoch, number: 2 }, 'operation'),
    epochLog(keys, { ...epoch, random: '2'.repeat(32) }, 'operation'),
    epochLog({ ...keys, drive: other.drive }, epoch, 'operation'),
    epochLog({ ...keys, logSeed: other.logSeed }, epoch, 'operation')
  ]
  t.equal(new Set(variants.map(log => text(log.seed))).size, variants.length)
  t.strictSame(epochLog(keys, epoch, 'operation').seed, variants[0]?.seed)
  t.strictSame(epochLog(keys, epoch, 'operation').userData, variants[0]?.userData)
})

t.test('a log’s user data is the hash of a statement by the device', async t => {
  const keys = await newKeys()
  const { statement, userData } = epochLog(keys, nextEpoch(undefined, systemRandom), 'content')
  t.strictSame(userData, blake2b(statement))
  const decoded = decodeStatement(statement)
  verifyStatement(decoded, {
    domain: 'log/content',
    signer: keys.deviceKeys.signing.publicKey
  })
  t.throws(() => verifyStatement(decoded, { domain: 'log/operation' }), { code: 'FORGED' })
})
