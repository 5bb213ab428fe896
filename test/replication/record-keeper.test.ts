/** Records are put at once, again before they are forgotten, and sooner when nobody took them. */
import t from 'tap'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { encodeSignedRecord, signRecord } from '../../src/replication/dht-records.ts'
import {
  RECORDS_MAX,
  RECORD_INTERVAL_MS,
  RECORD_RETRY_MS,
  RecordKeeper
} from '../../src/replication/record-keeper.ts'
import { filled } from '../support/bytes.ts'
import { MemoryHashTable } from '../support/memory-dht-records.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const keyPair = signingKeyPair(filled(32, 1))
const OWNER = filled(32, 9)

const record = (sequence: number): Uint8Array =>
  encodeSignedRecord(signRecord(keyPair, { sequence, value: Buffer.from(`value ${sequence}`) }))

function stage(): { table: MemoryHashTable; clock: VirtualClock; keeper: RecordKeeper } {
  const [table, clock] = [new MemoryHashTable(), new VirtualClock()]
  return {
    table,
    clock,
    keeper: new RecordKeeper({ records: table, clock, random: new SeededRandom(1) })
  }
}

t.test('the newest record of a person is put, and again in time', async t => {
  const { table, clock, keeper } = stage()
  t.ok(keeper.keep(OWNER, record(1)))
  await until('it', () => table.putCount === 1)
  t.equal((await table.get(keyPair.publicKey))?.sequence, 1)
  t.ok(keeper.keep(OWNER, record(2)))
  await until('the newer', () => table.putCount === 2)
  t.equal((await table.get(keyPair.publicKey))?.sequence, 2)
  t.equal(keeper.size, 1)
  await until('its timer', () => clock.pendingTimers === 1)
  clock.advance(RECORD_INTERVAL_MS / 2)
  t.equal(table.putCount, 2)
  clock.advance(RECORD_INTERVAL_MS / 2)
  await until('again', () => table.putCount === 3)
  await until('its timer', () => clock.pendingTimers === 1)
  await keeper.close()
  t.equal(clock.pendingTimers, 0)
  t.notOk(keeper.keep(OWNER, record(3)))
})

t.test('what could not be put is tried again sooner', async t => {
  const { table, clock, keeper } = stage()
  table.isReachable = false
  t.ok(keeper.keep(OWNER, record(1)))
  await until('the attempt', () => clock.pendingTimers === 1)
  table.isReachable = true
  clock.advance(RECORD_RETRY_MS)
  await until('it', () => table.putCount === 1)
  await keeper.close()
})

t.test('what is no record is not kept, nor too many', async t => {
  const { keeper } = stage()
  const forged = record(1)
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  t.notOk(keeper.keep(OWNER, forged))
  t.notOk(keeper.keep(OWNER, Buffer.from('nothing')))
  t.equal(keeper.size, 0)
  for (let index = 0; index < RECORDS_MAX; index++)
    keeper.keep(Buffer.alloc(32, `owner ${String(index)}`), record(1))
  t.notOk(keeper.keep(OWNER, record(1)))
  t.ok(keeper.keep(Buffer.alloc(32, 'owner 5'), record(2)), 'but a newer one of somebody known')
  await keeper.close()
})
