/** What waits is bounded, and gone with whoever sent it. */
import t from 'tap'
import type { CorePeer, CoreProof } from '../../src/replication/core-slot.ts'
import {
  PARKED_BLOCKS_MAX,
  PARKED_BYTES_MAX,
  ParkedPushes
} from '../../src/replication/parked-pushes.ts'

const [one, other] = [{} as CorePeer, {} as CorePeer]

function push(index: number, bytes = 10): CoreProof {
  return { request: 0, block: { index, value: new Uint8Array(bytes) }, upgrade: null }
}

function taken(parked: ParkedPushes, from: number, to: number): readonly number[] {
  const indexes = new Set(Array.from({ length: to - from }, (_, at) => from + at))
  return parked.take(indexes).map(({ index }) => index)
}

t.test('each is taken out once, in the order in which they came', async t => {
  const parked = new ParkedPushes()
  for (const index of [5, 3, 9]) parked.park(push(index), one)
  t.same(taken(parked, 3, 6), [5, 3])
  t.same(taken(parked, 0, 20), [9])
})

t.test('the oldest give way, and what is too large or no block does not wait', async t => {
  const parked = new ParkedPushes()
  for (let index = 0; index < PARKED_BLOCKS_MAX + 2; index++) parked.park(push(index), one)
  t.same(taken(parked, 0, 2), [])
  t.equal(taken(parked, 0, 100).length, PARKED_BLOCKS_MAX)
  for (const index of [0, 1, 2]) parked.park(push(index, PARKED_BYTES_MAX / 2), one)
  t.same(taken(parked, 0, 9), [1, 2])
  parked.park(push(0, PARKED_BYTES_MAX + 1), one)
  parked.park({ request: 0, block: null, upgrade: null }, one)
  parked.park({ request: 0, block: { index: 1, value: null }, upgrade: null }, one)
  t.same(taken(parked, 0, 9), [])
})

t.test('what a peer sent goes with it', async t => {
  const parked = new ParkedPushes()
  parked.park(push(1), one)
  parked.park(push(2), other)
  parked.forget(one)
  t.same(taken(parked, 0, 9), [2])
})
