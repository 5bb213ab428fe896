/** What waits is bounded, soon gone, and gone with whoever sent it. */
import t from 'tap'
import type { CorePeer, CoreProof, ProofNode } from '../../src/replication/core-slot.ts'
import {
  PARKED_BLOCKS_MAX,
  PARKED_BYTES_MAX,
  PARKED_MS,
  ParkedPushes,
  PROOF_NODES_MAX
} from '../../src/replication/parked-pushes.ts'
import { logKey } from '../../src/sync/log.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const [one, other] = [{} as CorePeer, {} as CorePeer]
const [log, another] = [logKey('ab'.repeat(32)), logKey('cd'.repeat(32))]

const NOTHING = { request: 0, fork: 0, block: null, hash: null, seek: null, upgrade: null }

function push(index: number, bytes = 10, nodes = 0): CoreProof {
  const block = { index, value: new Uint8Array(bytes), nodes: Array.from({ length: nodes }, node) }
  return { ...NOTHING, block }
}

function node(): ProofNode {
  return { index: 1, size: 1, hash: Buffer.alloc(32) }
}

function taken(parked: ParkedPushes, from: number, to: number, of = log): readonly number[] {
  const indexes = new Set(Array.from({ length: to - from }, (_, at) => from + at))
  return parked.take(of, indexes).map(({ index }) => index)
}

t.test('each is taken out once, in the order in which they came', async t => {
  const parked = new ParkedPushes(new VirtualClock())
  for (const index of [5, 3, 9]) parked.park(log, push(index), one)
  parked.park(another, push(4), one)
  t.same(taken(parked, 3, 6), [5, 3])
  t.same(taken(parked, 0, 20), [9])
  t.same(taken(parked, 0, 20, another), [4])
})

t.test('the oldest give way, and what is too large or no block does not wait', async t => {
  const parked = new ParkedPushes(new VirtualClock())
  for (let index = 0; index < PARKED_BLOCKS_MAX + 2; index++) parked.park(log, push(index), one)
  t.same(taken(parked, 0, 2), [])
  t.equal(taken(parked, 0, 100).length, PARKED_BLOCKS_MAX)
  for (const index of [0, 1, 2]) parked.park(log, push(index, PARKED_BYTES_MAX / 2), one)
  t.same(taken(parked, 0, 9), [1, 2])
  parked.park(log, push(0, PARKED_BYTES_MAX + 1), one)
  parked.park(log, NOTHING, one)
  parked.park(log, { ...NOTHING, block: { index: 1, value: null, nodes: [] } }, one)
  t.same(taken(parked, 0, 9), [])
})

t.test('proofs count, and are no longer than those of a log', async t => {
  const parked = new ParkedPushes(new VirtualClock())
  parked.park(log, push(1, 10, PROOF_NODES_MAX), one)
  parked.park(log, push(2, 10, PROOF_NODES_MAX + 1), one)
  for (const more of [
    { upgrade: { start: 0, length: 9 } },
    { hash: { index: 3 } },
    { seek: { bytes: 1 } }
  ])
    parked.park(log, { ...push(3), ...more }, one)
  t.same(taken(parked, 0, 9), [1])
})

t.test('what waits is a copy', async t => {
  const parked = new ParkedPushes(new VirtualClock())
  const frame = Buffer.alloc(1000, 1)
  const nodes = [{ index: 0, size: 9, hash: frame.subarray(5, 37) }]
  const block = { index: 1, value: frame.subarray(0, 5), nodes }
  parked.park(log, { ...NOTHING, block }, one)
  frame.fill(2)
  const [push] = parked.take(log, new Set([1]))
  t.same(push?.proof.block?.value, Buffer.alloc(5, 1))
  t.same(push?.proof.block?.nodes, [{ index: 0, size: 9, hash: Buffer.alloc(32, 1) }])
})

t.test('nothing waits for long', async t => {
  const clock = new VirtualClock()
  const parked = new ParkedPushes(clock)
  parked.park(log, push(1), one)
  clock.advance(PARKED_MS - 1)
  parked.park(log, push(2), one)
  clock.advance(PARKED_MS)
  t.same(taken(parked, 0, 2), [1], 'it is still there')
  parked.park(log, push(1), one)
  clock.advance(PARKED_MS * 2)
  t.same(taken(parked, 0, 9), [])
  parked.park(log, push(3), one)
  t.same(taken(parked, 0, 9), [3], 'and others may come')
})

t.test('what a peer sent goes with it', async t => {
  const parked = new ParkedPushes(new VirtualClock())
  parked.park(log, push(1), one)
  parked.park(log, push(2), other)
  parked.forget(one)
  t.same(taken(parked, 0, 9), [2])
})
