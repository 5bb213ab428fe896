/** Records of the hash table: the real one, the one in memory, and their bytes. */
import t from 'tap'
import { SystemClock } from '../../bin/system-clock.ts'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import {
  NodeRecords,
  RECORD_DEADLINE_MS,
  RECORD_VALUE_BYTES_MAX,
  SIGNED_RECORD_BYTES_MAX,
  decodeSignedRecord,
  encodeSignedRecord,
  signRecord
} from '../../src/replication/dht-records.ts'
import { dhtRecordsSuite } from '../suites/dht-records-suite.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { hostileBytes } from '../support/hostile-bytes.ts'
import { LoopbackFabric } from '../support/loopback-fabric.ts'
import { MemoryHashTable } from '../support/memory-dht-records.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

dhtRecordsSuite(t, 'hash table in memory', {
  create: async () => {
    const table = new MemoryHashTable()
    return {
      one: table,
      other: table,
      cutOff: async () => {
        table.isReachable = false
      },
      close: async () => undefined
    }
  }
})

dhtRecordsSuite(t, 'hyperdht', {
  create: async () => {
    const fabric = await LoopbackFabric.open()
    const [one, other] = [fabric.network(), fabric.network()]
    return {
      one: one.records,
      other: other.records,
      cutOff: async () => {
        await fabric.stopBootstrap()
        await other.close()
      },
      close: () => fabric.close()
    }
  }
})

t.test('a network that is closed has no records', async t => {
  const fabric = await LoopbackFabric.open()
  const network = fabric.network()
  await network.close()
  await t.rejects(network.records.get(filled(32, 1)), { code: 'UNAVAILABLE' })
  await fabric.close()
})

t.test('the hash table is waited for so long and no longer', async t => {
  const clock = new VirtualClock()
  const records = new NodeRecords({ node: () => new Promise(() => undefined), clock })
  const getting = records.get(filled(32, 1))
  clock.advance(RECORD_DEADLINE_MS)
  await t.rejects(getting, { code: 'UNAVAILABLE' })
  t.equal(clock.pendingTimers, 0)
  await t.rejects(
    new NodeRecords({ node: async () => undefined, clock: new SystemClock() }).get(filled(32, 1)),
    { code: 'UNAVAILABLE' }
  )
})

const keyPair = signingKeyPair(filled(32, 1))
const record = signRecord(keyPair, { sequence: 2 ** 40, value: filled(50, 2) })
const bytes = encodeSignedRecord(record)

t.test('decodeSignedRecord() gives back what was signed, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('recovery', 'signed record')))
  t.same(decodeSignedRecord(bytes), record)
  const value = filled(RECORD_VALUE_BYTES_MAX, 1)
  const longest = encodeSignedRecord(signRecord(keyPair, { sequence: 1, value }))
  t.ok(longest.length <= SIGNED_RECORD_BYTES_MAX)
  t.same(decodeSignedRecord(longest).value, value)
  const longer = signRecord(keyPair, { sequence: 1, value: filled(value.length + 1, 1) })
  t.throws(() => encodeSignedRecord(longer), RangeError)
})

t.test('decodeSignedRecord() refuses other versions, sizes and every changed byte', async t => {
  t.throws(() => decodeSignedRecord(replaced(bytes, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => decodeSignedRecord(replaced(bytes, 0, 0)), { code: 'MALFORMED' })
  t.throws(() => decodeSignedRecord(Buffer.concat([bytes, filled(1, 0)])), { code: 'MALFORMED' })
  t.throws(() => decodeSignedRecord(bytes.subarray(0, 60)), { code: 'TRUNCATED' })
  for (let offset = 0; offset < bytes.length; offset++)
    t.throws(() => decodeSignedRecord(flipped(bytes, offset)), { name: 'CryptoError' })
})

t.test(`decodeSignedRecord() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const input = hostileBytes(random, [bytes])
    try {
      decodeSignedRecord(input)
      if (Buffer.compare(input, bytes) !== 0) t.fail(`a forgery: ${toHex(input)}`)
    } catch (error) {
      if (!(error instanceof CryptoError)) t.fail(`${String(error)}: ${toHex(input)}`)
    }
  }
})
