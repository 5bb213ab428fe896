/** Rows of names come back from their bytes, and bytes that are no row are refused. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { INODE_KINDS } from '../../src/sync/inode-record.ts'
import { LogNumbers } from '../../src/sync/log-numbers.ts'
import { CLAIM_RANKS, decodeNameRow, encodeNameRow, type NameRow } from '../../src/sync/name-row.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { arbitraryId, arbitraryName, LOGS } from '../support/arbitrary-operation.ts'
import { FUZZ_INPUTS, fuzzDecoder } from '../support/fuzz-decoder.ts'
import { rowBytes } from '../support/row-bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const logs = new LogNumbers()
for (const log of LOGS) logs.add(log)

const claim = fc.record({
  ...{ ino: fc.maxSafeNat(), kind: fc.constantFrom(...INODE_KINDS), link: arbitraryId },
  ...{ by: arbitraryId, rank: fc.constantFrom(...Object.values(CLAIM_RANKS)) }
})
const arbitraryRow = fc
  .record({ name: arbitraryName, claims: fc.array(claim, { minLength: 1, maxLength: 4 }) })
  .map(row => structuredClone(row))

function bytesOf(row: NameRow): Uint8Array {
  return rowBytes(out => encodeNameRow(out, row, logs))
}

t.test('a row comes back from its bytes', async () => {
  fc.assert(
    fc.property(arbitraryRow, row => {
      assert.deepEqual(decodeNameRow(bytesOf(row), logs), row)
    })
  )
})

function isRefusal(error: unknown): boolean {
  return error instanceof SyncError && (error.code === 'DAMAGED' || error.code === 'MALFORMED')
}

t.test(`decodeNameRow() survives ${FUZZ_INPUTS} hostile rows`, async t => {
  const rows = fc.sample(arbitraryRow, { numRuns: 200, seed: 7 })
  const { taken, failures } = await fuzzDecoder({
    random: new SeededRandom(7),
    genuine: rows.map(row => bytesOf(row)),
    reencoded: bytes => bytesOf(decodeNameRow(bytes, logs)),
    isRefusal
  })
  t.same(failures, [])
  t.ok(taken > FUZZ_INPUTS / 100, `${taken} were read`)
})

t.test('bytes that are no row are refused as damage', async () => {
  for (const row of fc.sample(arbitraryRow, { numRuns: 10, seed: 5 })) {
    const bytes = bytesOf(row)
    for (let end = 0; end < bytes.length; end++) {
      assert.throws(() => decodeNameRow(bytes.subarray(0, end), logs), isRefusal)
    }
    assert.throws(() => decodeNameRow(Uint8Array.from([...bytes, 0]), logs), isRefusal)
  }
})
