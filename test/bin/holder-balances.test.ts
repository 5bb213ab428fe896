/** A device signs what a holder counts unless it is more than the holder can have kept. */
import t from 'tap'
import { HolderBalances, SETTLE_INTERVAL_MS } from '../../bin/holder-balances.ts'
import {
  openBalance,
  signBalance,
  signBalanceAccepted,
  type Balance
} from '../../src/crypto/balance.ts'
import { DeviceKeys } from '../../src/crypto/device-keys.ts'
import type { KeeperLink } from '../../src/replication/keeper-link.ts'
import { nowMs } from '../../src/replication/wall-time.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const random = new SeededRandom(4)
const keeper = DeviceKeys.generate(random)
const device = DeviceKeys.generate(random)

/** A holder that counts what it is told to. */
function party(clock: VirtualClock) {
  const state = { mibSeconds: 0, sequence: 0, asked: 0 }
  let previous: Uint8Array = new Uint8Array(32)
  let settled: { readonly balance: Uint8Array; readonly accepted: Uint8Array } | undefined
  const link = {
    id: 'anna',
    settleBalance: (accepts: (balance: Balance) => boolean) => {
      state.asked++
      const content = {
        ...{ sequence: state.sequence + 1, previous, identity: new Uint8Array(32).fill(1) },
        ...{ mibSeconds: state.mibSeconds, timeMs: nowMs(clock) }
      }
      const bytes = signBalance(content, keeper.signing)
      const balance = openBalance(bytes)
      if (accepts(balance)) {
        settled = { balance: bytes, accepted: signBalanceAccepted(balance.hash, device.signing) }
        state.sequence++
        previous = balance.hash
      }
      return Promise.resolve(settled)
    }
  } as unknown as KeeperLink
  return { state, link }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
}

t.test('what can be is signed, more is not, and it is asked again after an hour', async t => {
  const clock = new VirtualClock()
  const { state, link } = party(clock)
  const addedMs = nowMs(clock)
  const balances = new HolderBalances({
    clock,
    kept: () => ({ bytes: 1024 * 1024 * 1000, addedMs }),
    links: () => [link],
    report: message => t.fail(message)
  })
  clock.advance(1_000_000)
  state.mibSeconds = 1000 * 1000
  balances.linkOpened(link)
  await turns()
  t.equal(balances.mibSecondsOf('anna'), 1_000_000)
  state.mibSeconds = 50_000_000
  clock.advance(SETTLE_INTERVAL_MS)
  await turns()
  t.equal(balances.mibSecondsOf('anna'), 1_000_000, 'nobody kept as much as that')
  state.mibSeconds = 4_000_000
  clock.advance(SETTLE_INTERVAL_MS)
  await turns()
  t.equal(balances.mibSecondsOf('anna'), 4_000_000)
  t.equal(balances.mibSecondsOf('bert'), undefined)
  balances.close()
  const { asked } = state
  clock.advance(SETTLE_INTERVAL_MS)
  t.equal(state.asked, asked)
})
