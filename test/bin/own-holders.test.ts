/** What a holder says of itself counts only as both signed it. */
import t from 'tap'
import type { OwnHolderRequest } from '../../bin/custody-api.ts'
import { BALANCE_LENGTH_MAX } from '../../bin/custody-api.ts'
import { OWN_HOLDERS_MAX, OwnHolders } from '../../bin/own-holders.ts'
import { openBalance, signBalance, signBalanceAccepted } from '../../src/crypto/balance.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import { memberId } from '../../src/sync/members.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const random = new SeededRandom(3)
const keeper = DeviceKeys.generate(random)
const device = DeviceKeys.generate(random)

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

function claim(name: string, mibSeconds: number, by = device): OwnHolderRequest['persons'][number] {
  const identity = random.bytes(32)
  const balance = signBalance(
    { sequence: 1, previous: new Uint8Array(32), identity, mibSeconds, timeMs: 1 },
    keeper.signing
  )
  const accepted = signBalanceAccepted(openBalance(balance).hash, by.signing)
  const texts = { balance: base64(balance), accepted: base64(accepted) }
  return { name, identity: memberId(identity), ...texts }
}

const holder = memberId(keeper.publicKeys.signing)

t.test('what both signed is added up by name', t => {
  const own = new OwnHolders()
  t.equal(own.keptFor('Anna'), undefined)
  own.told({ holder, persons: [claim('Anna', 5), claim('Anna', 7), claim('Bert', 1)] })
  t.same([own.keptFor('Anna'), own.keptFor('Bert')], [12, 1])
  own.told({ holder, persons: [claim('Anna', 20)] })
  t.same([own.keptFor('Anna'), own.keptFor('Bert')], [20, undefined], 'the newest word counts')
  t.ok(claim('Anna', 2 ** 50).balance.length <= BALANCE_LENGTH_MAX)
  t.end()
})

t.test('anything else is refused, and changes nothing', t => {
  const own = new OwnHolders()
  own.told({ holder, persons: [claim('Anna', 5)] })
  const [one, other] = [claim('Anna', 9), claim('Anna', 9)]
  for (const wrong of [
    { ...one, accepted: other.accepted },
    { ...one, identity: other.identity },
    { ...one, balance: one.accepted },
    { ...one, balance: 'nonsense' },
    claim('Anna', 9, keeper)
  ])
    t.throws(() => own.told({ holder, persons: [wrong] }), { code: 'USAGE' })
  t.throws(() => own.told({ holder: 'ab'.repeat(32), persons: [one] }), { code: 'USAGE' })
  t.equal(own.keptFor('Anna'), 5)
  for (let count = 1; count < OWN_HOLDERS_MAX; count++)
    own.told({ holder: memberId(random.bytes(32)), persons: [] })
  t.throws(() => own.told({ holder: 'cd'.repeat(32), persons: [] }), { code: 'USAGE' })
  own.told({ holder, persons: [] })
  t.end()
})
