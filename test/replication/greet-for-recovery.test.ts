/** A holder lets in a device that it has never heard of when the identity vouches for it. */
import t, { type Test } from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { signHello } from '../../bin/recovered-device.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { Identity } from '../../src/crypto/identity.ts'
import { greetForRecovery } from '../../src/replication/greet-for-recovery.ts'
import { filled } from '../support/bytes.ts'
import { CustodyStage } from '../support/custody-stage.ts'

/** A holder that keeps a summary for a person, and somebody who has lost all devices. */
async function parties(t: Test) {
  const stage = await CustodyStage.open()
  t.teardown(() => stage.close())
  const { link } = await stage.admit()
  await link.putSummary(filled(100, 7))
  const deviceKeys = DeviceKeys.generate(systemRandom)
  const greet = async (identity: Identity, vouched = deviceKeys) => {
    const connection = await stage.dial(deviceKeys.network)
    return greetForRecovery({
      connection,
      identity: identity.signing.publicKey,
      drive: stage.drive.drive,
      hello: signHello({ identity, deviceKeys: vouched, timeMs: 1 }),
      keyPair: deviceKeys.signing,
      clock: new SystemClock(),
      random: systemRandom
    })
  }
  return { stage, greet }
}

const WORDS = `${'abandon '.repeat(23)}art`
const OTHER_WORDS = `${'zoo '.repeat(23)}vote`

t.test('the words alone open the door', async t => {
  const { greet } = await parties(t)
  const source = await greet(await Identity.fromWords(WORDS))
  t.same(await source.summaries(), [filled(100, 7)])
})

t.test('other words do not, nor a word for another device', async t => {
  const { greet } = await parties(t)
  await t.rejects(greet(await Identity.fromWords(OTHER_WORDS)), { code: 'REFUSED' })
  const vouched = DeviceKeys.generate(systemRandom)
  await t.rejects(greet(await Identity.fromWords(WORDS), vouched), { code: 'REFUSED' })
})
