/** Announcements: device and log name each other, and nobody can pass off what is another's. */
import t from 'tap'
import { epochLog, nextEpoch } from '../../bin/log-epochs.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  decodeStatement,
  encodeStatement,
  NO_PREVIOUS,
  signStatement,
  type StatementContent
} from '../../src/crypto/statement.ts'
import { logSigner } from '../../src/replication/core-slot.ts'
import {
  ANNOUNCEMENT_BYTES_MAX,
  openAnnouncement,
  signAnnouncement,
  type AnnouncedEpoch
} from '../../src/replication/log-announcement.ts'
import { filled } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_COUNT = Number(process.env['GROVE_FUZZ'] ?? 100_000)

const SEED = 20_261_130

const random = new SeededRandom(5)
const drive = filled(32, 1)
const [device, thief] = [DeviceKeys.generate(random), DeviceKeys.generate(random)]

function epochOf(deviceKeys: DeviceKeys, driveId = drive): AnnouncedEpoch {
  const epoch = { ...nextEpoch(undefined, new SeededRandom(6)), number: 3 }
  const keys = { deviceKeys, drive: driveId, logSeed: filled(32, 8) }
  return {
    drive: driveId,
    epoch: epoch.number,
    operationLog: epochLog(keys, epoch, 'operation'),
    contentLog: epochLog(keys, epoch, 'content')
  }
}

const genuine = signAnnouncement(epochOf(device), device.signing)

/** Signs another body, or another statement, with a device's key. */
function signed(by: DeviceKeys, change: Partial<StatementContent>): Uint8Array {
  const { domain, sequence, body } = decodeStatement(genuine)
  const content = { domain, sequence, previous: NO_PREVIOUS, body, ...change }
  return encodeStatement(signStatement(content, by.signing))
}

t.test('an announcement tells device, epoch and the names of both logs', async t => {
  const epoch = epochOf(device)
  const opened = openAnnouncement(genuine, drive)
  t.equal(opened.device, Buffer.from(device.signing.publicKey).toString('hex'))
  t.equal(opened.epoch, 3)
  t.equal(opened.operationLog.key, logSigner(epoch.operationLog).key)
  t.equal(opened.contentLog.key, logSigner(epoch.contentLog).key)
  t.same(Buffer.from(opened.bytes), Buffer.from(genuine))
  t.ok(genuine.length <= ANNOUNCEMENT_BYTES_MAX)
  t.same(Buffer.from(signAnnouncement(epoch, device.signing)), Buffer.from(genuine), 'the same')
})

t.test(
  'nobody announces the logs of another device, nor those of another drive or epoch',
  async t => {
    const refused = (bytes: Uint8Array, what: string): void => {
      t.throws(() => openAnnouncement(bytes, drive), CryptoError, what)
    }
    refused(signed(thief, {}), 'signed by a thief')
    refused(signed(device, { sequence: 4 }), 'another epoch')
    refused(signed(device, { domain: 'log/operation' }), 'another domain')
    const other = signAnnouncement(epochOf(device, filled(32, 2)), device.signing)
    refused(other, 'another drive')
    t.throws(() => openAnnouncement(genuine, filled(32, 2)), { code: 'FORGED' })
    const foreign = epochOf(device, filled(32, 2)).operationLog
    const mixed = { ...epochOf(device), operationLog: foreign }
    refused(signAnnouncement(mixed, device.signing), 'a log of another drive')
    const { operationLog, ...rest } = epochOf(device)
    const twice = signAnnouncement(
      { ...rest, operationLog, contentLog: operationLog },
      device.signing
    )
    refused(twice, 'an operation log for a content log')
    refused(
      signed(device, { body: Buffer.concat([decodeStatement(genuine).body, drive]) }),
      'a tail'
    )
  }
)

t.test('another public key under the statements of a device gives another log', async t => {
  const body = decodeStatement(genuine).body.slice()
  body.fill(7, 32, 64)
  const opened = openAnnouncement(signed(device, { body }), drive)
  t.not(opened.operationLog.key, openAnnouncement(genuine, drive).operationLog.key)
})

t.test(`${String(FUZZ_COUNT)} hostile bodies that a member signs (seed ${SEED})`, async t => {
  const { failures, opened } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_COUNT,
    genuine,
    keyPair: device.signing,
    reopened: bytes => openAnnouncement(bytes, drive).bytes
  })
  t.same(failures, [])
  t.ok(opened > 0, `${String(opened)} changed bodies were opened`)
})

t.test(`${String(FUZZ_COUNT)} changed announcements: none is opened`, async t => {
  const errors = new Set<string>()
  for (let count = 0; count < FUZZ_COUNT; count++) {
    const bytes = genuine.slice()
    const at = random.integer(bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 + random.integer(255))
    const cut = count % 4 === 0 ? bytes.subarray(0, random.integer(bytes.length)) : bytes
    try {
      openAnnouncement(cut, drive)
      t.fail('opened')
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
      errors.add(error.code)
    }
  }
  t.ok(errors.size > 1, [...errors].join())
})
