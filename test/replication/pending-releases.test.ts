/** Releases that wait at keepers: remembered, found by window, forgotten. */
import assert from 'node:assert/strict'
import t from 'tap'
import { releaseHash, signRelease } from '../../src/crypto/release.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { CustodyStore } from '../../src/replication/custody-store.ts'
import { PendingReleases } from '../../src/replication/pending-releases.ts'
import { emptyBitmap, rangeBitmap } from '../../src/sync/block-bitmap.ts'
import { CONTENT } from '../support/custody-world.ts'
import { filled, toHex } from '../support/bytes.ts'
import { MemoryKeyValueStore } from '../support/memory-key-value-store.ts'

const KEEPER = 'ab'.repeat(32)
const range = (from: number, to: number): Uint8Array => rangeBitmap({ window: 0, from, to })

function record(window: number, from: number, to: number) {
  const log = new Uint8Array(Buffer.from(CONTENT, 'hex'))
  const windows = [{ log, window, bitmap: range(from, to) }]
  const content = {
    drive: filled(32, 1),
    keeper: filled(32, 0xab),
    kind: 'garbage' as const,
    floor: 0,
    issuedMs: 5,
    windows
  }
  const statement = signRelease(content, signingKeyPair(filled(32, 7)))
  return { keeper: KEEPER, hash: toHex(releaseHash(statement)), sentMs: 9, statement }
}

t.test('what was handed over is known after a restart, until it is removed', async t => {
  const rows = new MemoryKeyValueStore()
  const store = new CustodyStore(rows)
  const releases = new PendingReleases(store, [])
  releases.add(record(0, 0, 4))
  releases.add(record(0, 8, 9))
  releases.add(record(1, 0, 4))
  releases.add(record(1, 0, 4))
  t.equal(releases.all().length, 3, 'each once')
  t.same(releases.blocksAt(KEEPER, { log: CONTENT, window: 0 }), range(0, 4).with(1, 1))
  t.same(releases.blocksAt('00'.repeat(32), { log: CONTENT, window: 0 }), emptyBitmap())
  t.throws(() => releases.add({ ...record(0, 1, 2), statement: filled(9, 9) }), RangeError)
  await store.flush()

  const again = new PendingReleases(store, [
    ...store.load().releases,
    { ...record(5, 0, 1), statement: filled(9, 9) }
  ])
  t.equal(again.all().length, 3)
  t.match(again.of(KEEPER)[0], { kind: 'garbage', floor: 0, sentMs: 9 })
  const [first] = again.of(KEEPER)
  assert(first)
  again.remove(first)
  t.equal(again.of(KEEPER).length, 2)
  again.forget(KEEPER)
  t.same(again.all(), [])
  await store.flush()
  t.same(store.load().releases, [])
})
