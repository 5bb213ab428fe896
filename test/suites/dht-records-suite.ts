/**
 * What every {@link DhtRecords} does: run on the hash table in memory and on the real one.
 *
 * @module
 */
import type { Test } from 'tap'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import {
  RECORD_VALUE_BYTES_MAX,
  signRecord,
  type DhtRecords
} from '../../src/replication/dht-records.ts'

/** Two nodes of one hash table. */
export interface DhtRecordsFabric {
  readonly one: DhtRecords
  readonly other: DhtRecords
  /** Ends the hash table: nobody answers any more. */
  cutOff(): Promise<void>
  /** Closes all. */
  close(): Promise<void>
}

/** How the suite makes what it tests. */
export interface DhtRecordsSubject {
  create(): Promise<DhtRecordsFabric>
}

const keyPair = signingKeyPair(new Uint8Array(32).fill(1))
const stranger = signingKeyPair(new Uint8Array(32).fill(2))
const record = (sequence: number, fill = sequence, bytes = 100) =>
  signRecord(keyPair, { sequence, value: new Uint8Array(bytes).fill(fill) })

type Define = (title: string, run: (t: Test, fabric: DhtRecordsFabric) => Promise<void>) => void

/** Runs the suite. */
export function dhtRecordsSuite(t: Test, name: string, subject: DhtRecordsSubject): void {
  const test: Define = (title, run) => {
    void t.test(`${name}: ${title}`, async t => {
      const fabric = await subject.create()
      try {
        await run(t, fabric)
      } finally {
        await fabric.close()
      }
    })
  }

  test('a record that one puts the other gets', async (t, { one, other }) => {
    t.equal(await other.get(keyPair.publicKey), undefined)
    await one.put(record(5))
    t.same(await other.get(keyPair.publicKey), record(5))
    t.equal(await other.get(stranger.publicKey), undefined)
    await one.put(record(6, 6, RECORD_VALUE_BYTES_MAX))
    t.same(await other.get(keyPair.publicKey), record(6, 6, RECORD_VALUE_BYTES_MAX))
  })

  test('the newest version stays, whoever puts an older one', async (t, { one, other }) => {
    await one.put(record(5))
    await other.put(record(4))
    t.same(await other.get(keyPair.publicKey), record(5))
    await other.put(record(5, 9))
    t.same(await one.get(keyPair.publicKey), record(5), 'of two with one number the first')
  })

  test('who has no secret key puts a record again', async (t, { one, other }) => {
    await one.put(record(5))
    const found = await other.get(keyPair.publicKey)
    t.ok(found)
    if (found !== undefined) await other.put(found)
    t.same(await one.get(keyPair.publicKey), record(5))
  })

  test('what is not genuine or too long is not put', async (t, { one, other }) => {
    const forged = { ...record(5), publicKey: stranger.publicKey }
    const longer = record(5, 5, RECORD_VALUE_BYTES_MAX + 1)
    for (const each of [forged, longer, { ...record(5), sequence: 6 }])
      await t.rejects(one.put(each), RangeError)
    t.equal(await other.get(stranger.publicKey), undefined)
  })

  test('without nodes there is no answer, which is not "no record"', async (t, fabric) => {
    const { one } = fabric
    await one.put(record(5))
    await fabric.cutOff()
    await t.rejects(one.get(keyPair.publicKey), { code: 'UNAVAILABLE' })
    await t.rejects(one.put(record(6)), { code: 'UNAVAILABLE' })
  })

  test('asking can be given up', async (t, { one }) => {
    const signal = AbortSignal.abort()
    await t.rejects(one.get(keyPair.publicKey, { signal }), { code: 'INTERRUPTED' })
    await t.rejects(one.put(record(5), { signal }), { code: 'INTERRUPTED' })
    const controller = new AbortController()
    const getting = one.get(keyPair.publicKey, { signal: controller.signal })
    controller.abort()
    await t.rejects(getting, { code: 'INTERRUPTED' })
  })
}
