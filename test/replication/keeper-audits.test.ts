/** Whose challenges a keeper answers. */
import t, { type Test } from 'tap'
import { signChallenge, type ChallengeContent } from '../../src/crypto/challenge.ts'
import type { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { signingKeyPair, type KeyPair } from '../../src/crypto/sodium.ts'
import { AUDIT_LATE_MS_MAX, KeeperAudits } from '../../src/replication/keeper-audits.ts'
import { blocksOf, logOf, makeBlocks } from '../suites/holder-link-suite.ts'
import { filled } from '../support/bytes.ts'
import { MemorySource } from '../support/memory-kept-logs.ts'
import { MemoryKeeper } from '../support/memory-keeper.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { VIRTUAL_START_SEC, VirtualClock } from '../support/virtual-clock.ts'

const log = logOf('a')

interface Stage {
  readonly audits: KeeperAudits
  readonly keeper: MemoryKeeper
  readonly drive: ReplicatedDrive
  readonly device: DeviceKeys
  readonly source: MemorySource
  readonly challenge: (change?: Partial<ChallengeContent>, by?: KeyPair) => Uint8Array
}

async function stage(): Promise<Stage> {
  const drive = await ReplicatedDrive.make()
  const device = drive.newKeys()
  drive.state('attest', device)
  const source = new MemorySource()
  source.add(log, makeBlocks(10))
  const keeper = new MemoryKeeper({ drive, source, clock: new VirtualClock() })
  await keeper.person.holds.hold(blocksOf(log, 0, 10), new AbortController().signal)
  const { audits } = keeper.person
  const challenge: Stage['challenge'] = (change, by = device.signing) =>
    signChallenge(
      {
        id: filled(16, 1),
        keeper: keeper.keys.signing.publicKey,
        log: Buffer.from(log, 'hex'),
        nonce: filled(32, 2),
        mode: 'hash',
        deadlineMs: VIRTUAL_START_SEC * 1000,
        indexes: [3],
        ...change
      },
      by
    )
  return { audits, keeper, drive, device, source, challenge }
}

async function refuses(t: Test, made: Stage, what: string, bytes: Uint8Array): Promise<void> {
  await t.rejects(made.audits.answer(bytes), { code: 'REFUSED' }, what)
}

t.test('answer() is for members, and for challenges to this keeper', async t => {
  const made = await stage()
  const { audits, challenge, drive, device, keeper } = made
  t.match(await audits.answer(challenge()), { id: filled(16, 1), answer: { kind: 'hash' } })
  await refuses(t, made, 'of another keeper', challenge({ keeper: filled(32, 9) }))
  await refuses(t, made, 'by nobody', challenge({}, signingKeyPair(filled(32, 5))))
  await refuses(t, made, 'by the identity itself', challenge({}, drive.identityKeys))
  await t.rejects(audits.answer(filled(300, 1)), { name: 'CryptoError' })
  keeper.person.members.add(drive.state('suspend', device))
  await refuses(t, made, 'by a suspended device', challenge())
})

t.test('answer() is given up long after the deadline, whatever our clock says', async t => {
  const { audits, challenge } = await stage()
  const deadlineMs = VIRTUAL_START_SEC * 1000 - AUDIT_LATE_MS_MAX
  t.match(await audits.answer(challenge({ deadlineMs })), { answer: { kind: 'hash' } })
  await t.rejects(audits.answer(challenge({ deadlineMs: deadlineMs - 1000 })), {
    code: 'UNAVAILABLE'
  })
})

t.test('answer() sends no more than fits', async t => {
  const { audits, challenge, keeper, source } = await stage()
  source.add(logOf('b'), [filled(7_000_000, 1), filled(7_000_000, 2)])
  await keeper.person.holds.hold(blocksOf(logOf('b'), 0, 2), new AbortController().signal)
  const large = { log: Buffer.from(logOf('b'), 'hex'), mode: 'blocks', indexes: [0, 1] } as const
  await t.rejects(audits.answer(challenge(large)), { code: 'UNAVAILABLE' })
  t.match(await audits.answer(challenge({ ...large, indexes: [1] })), {
    answer: { kind: 'blocks' }
  })
})

t.test('a disk that fails for now is no missing block', async t => {
  const { audits, challenge, keeper } = await stage()
  keeper.logs.failAfter = 0
  await t.rejects(audits.answer(challenge()), { code: 'IO' })
  t.match(await audits.answer(challenge()), { answer: { kind: 'hash' } })
  t.ok(audits instanceof KeeperAudits)
})
