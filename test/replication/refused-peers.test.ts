/** Refused keys stay away for a while; how many are remembered is bounded. */
import t from 'tap'
import { REFUSAL_MS, REFUSALS_MAX, RefusedPeers } from '../../src/replication/refused-peers.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

function key(number: number): Uint8Array {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32LE(number)
  return bytes
}

t.test('a refusal lasts for its time', async t => {
  const clock = new VirtualClock()
  const refused = new RefusedPeers(clock)
  t.notOk(refused.has(key(1)))
  refused.add(key(1))
  t.ok(refused.has(key(1)))
  t.notOk(refused.has(key(2)))
  clock.advance(REFUSAL_MS - 1000)
  t.ok(refused.has(key(1)))
  refused.add(key(2))
  clock.advance(1000)
  t.notOk(refused.has(key(1)))
  t.ok(refused.has(key(2)))
})

t.test('clear() gives everybody another chance', async t => {
  const refused = new RefusedPeers(new VirtualClock())
  refused.add(key(1))
  refused.clear()
  t.notOk(refused.has(key(1)))
})

t.test('the oldest refusals are forgotten when there are too many', async t => {
  const refused = new RefusedPeers(new VirtualClock())
  for (let number = 0; number < REFUSALS_MAX; number++) refused.add(key(number))
  refused.add(key(0))
  t.ok(refused.has(key(1)))
  refused.add(key(REFUSALS_MAX))
  t.notOk(refused.has(key(1)), 'the oldest')
  t.ok(refused.has(key(0)), 'it was refused again since')
  t.ok(refused.has(key(REFUSALS_MAX)))
})
