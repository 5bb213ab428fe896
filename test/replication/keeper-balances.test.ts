/** Balances that both sign. */
import t from 'tap'
import { balanceHash, openBalance, signBalanceAccepted } from '../../src/crypto/balance.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { NO_PREVIOUS } from '../../src/crypto/statement.ts'
import { KeeperBalances, PROPOSALS_MAX } from '../../src/replication/keeper-balances.ts'
import { KeeperRecords } from '../../src/replication/keeper-records.ts'
import { Members } from '../../src/sync/members.ts'
import { filled } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'
import { ReplicatedDrive } from '../support/replicated-drive.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const keyPair = signingKeyPair(filled(32, 1))

async function stage() {
  const drive = await ReplicatedDrive.make()
  const device = drive.newKeys()
  drive.state('attest', device)
  const { identity, keys, statements } = drive
  const members = new Members({ identity, keys, statements })
  const store = new MemoryKeyValueStore()
  const counted = { mibSeconds: 7 }
  const open = (kept = store): KeeperBalances =>
    new KeeperBalances({
      ...{ records: new KeeperRecords(kept), identity, members, keyPair },
      clock: new VirtualClock(),
      mibSeconds: () => counted.mibSeconds
    })
  return { drive, device, members, store, counted, open, balances: open() }
}

t.test('what a device accepted is settled, and the next follows it', async t => {
  const { balances, device, drive, counted, open, store } = await stage()
  t.equal(balances.settled, undefined)
  const first = balances.propose()
  t.match(openBalance(first, { signer: keyPair.publicKey }), {
    ...{ sequence: 1, previous: NO_PREVIOUS, mibSeconds: 7, identity: drive.identity }
  })
  const accepted = signBalanceAccepted(balanceHash(first), device.signing)
  await balances.accept(accepted)
  t.same(balances.settled, { balance: first, accepted })
  counted.mibSeconds = 9
  const again = open(store.copy())
  t.same(again.settled, balances.settled, 'after a restart')
  t.match(openBalance(again.propose()), {
    sequence: 2,
    previous: balanceHash(first),
    mibSeconds: 9
  })
})

t.test('accept() refuses what was not proposed, and who is no member', async t => {
  const { balances, device, drive, members } = await stage()
  const code = 'REFUSED'
  const proposal = balances.propose()
  const accepted = (by = device.signing, of = proposal): Uint8Array =>
    signBalanceAccepted(balanceHash(of), by)
  await t.rejects(balances.accept(accepted(device.signing, filled(9, 1))), { code })
  await t.rejects(balances.accept(accepted(keyPair)), { code }, 'the keeper itself')
  await t.rejects(balances.accept(accepted(signingKeyPair(filled(32, 9)))), { code })
  await t.rejects(balances.accept(filled(200, 1)), { name: 'CryptoError' })
  await balances.accept(accepted())
  await t.rejects(balances.accept(accepted()), { code }, 'twice')
  const next = balances.propose()
  members.add(drive.state('suspend', device))
  await t.rejects(balances.accept(accepted(device.signing, next)), { code })
})

t.test('of many proposals the newest can be accepted', async t => {
  const { balances, device } = await stage()
  const proposals: Uint8Array[] = []
  const { counted, open } = await stage()
  const many = open()
  for (let count = 0; count <= PROPOSALS_MAX; count++) {
    counted.mibSeconds = count
    proposals.push(many.propose())
  }
  const [oldest, second] = proposals
  if (oldest === undefined || second === undefined) throw new Error('no proposals')
  const word = (of: Uint8Array): Uint8Array => signBalanceAccepted(balanceHash(of), device.signing)
  await t.rejects(many.accept(word(oldest)), { code: 'REFUSED' }, 'forgotten')
  t.ok(balances.propose().length > 0)
})
