/** The key table: which key seals, what it refuses, and its bytes. */
import assert from 'node:assert/strict'
import t from 'tap'
import { KEY_TABLE_ROWS_MAX, KeyTable, keyCommitment } from '../../src/crypto/key-table.ts'
import type { KeyRow } from '../../src/crypto/key-table.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

function row(keyId: number, epoch: number, scope = 0): KeyRow {
  const name = { keyId, scope, epoch }
  const key = filled(32, keyId & 0xff)
  return { ...name, key, commitment: keyCommitment({ ...name, key }) }
}

function tableOf(...rows: readonly KeyRow[]): KeyTable {
  const table = new KeyTable()
  for (const each of rows) table.add(each)
  return table
}

t.test('currentKeyId is that of the newest epoch of the drive', async t => {
  t.throws(() => new KeyTable().currentKeyId, { code: 'UNKNOWN_KEY' })
  t.equal(tableOf(row(1, 1), row(2, 2)).currentKeyId, 2)
  t.equal(tableOf(row(2, 2), row(1, 1)).currentKeyId, 2, 'whatever the order')
  t.equal(tableOf(row(7, 3), row(5, 3)).currentKeyId, 7, 'of equals the highest number')
  t.equal(tableOf(row(1, 1), row(9, 9, 4)).currentKeyId, 1, 'keys of directories do not seal')
})

t.test('generate() makes the next key', async t => {
  const random = new SeededRandom(1)
  const table = KeyTable.generate(random)
  t.match(table.get(1), { keyId: 1, scope: 0, epoch: 1 })
  const next = table.generate(random)
  t.match(next, { keyId: 2, scope: 0, epoch: 2 })
  t.equal(table.currentKeyId, 2)
  t.not(toHex(table.get(1).key), toHex(next.key))
  t.equal(table.size, 2)
})

t.test('add() refuses a key that is not the one committed to', async t => {
  const table = tableOf(row(1, 1))
  const genuine = row(2, 1)
  const forged = [
    { ...genuine, key: flipped(genuine.key, 0) },
    { ...genuine, keyId: 3 },
    { ...genuine, epoch: 2 },
    { ...genuine, scope: 1 },
    { ...genuine, commitment: genuine.commitment.subarray(1) }
  ]
  for (const each of forged) t.throws(() => table.add(each), { code: 'WRONG_KEY' })
  t.equal(table.has(2), false, 'nothing was taken')
  t.throws(() => table.get(2), { code: 'UNKNOWN_KEY' })

  table.add(row(1, 1))
  t.equal(table.size, 1, 'the same key twice is no error')
  const other = { keyId: 1, scope: 0, epoch: 1, key: filled(32, 77) }
  const another = { ...other, commitment: keyCommitment(other) }
  t.throws(() => table.add(another), { code: 'WRONG_KEY' }, 'another key of that number')
  t.throws(() => table.add({ ...genuine, keyId: 0 }), RangeError)
})

t.test('add() copies: what the caller wipes is its own', async t => {
  const mine = row(1, 1)
  const table = tableOf({ ...mine, commitment: Buffer.from(mine.commitment) })
  mine.key.fill(0)
  t.equal(toHex(table.get(1).key), '01'.repeat(32))
})

t.test('decode() is the inverse of encode(), whose bytes are fixed', async t => {
  const table = tableOf(row(2, 2), row(1, 1), row(300, 1, 5))
  const bytes = table.encode()
  t.equal(toHex(bytes), toHex(goldenVector('crypto', 'key table')))
  const decoded = KeyTable.decode(bytes)
  t.equal(decoded.currentKeyId, 2)
  t.equal(toHex(decoded.encode()), toHex(bytes))
  t.same(
    decoded.rows().map(each => each.keyId),
    [1, 2, 300]
  )
})

t.test('decode() refuses what is not a key table', async t => {
  const bytes = tableOf(row(1, 1), row(2, 2)).encode()
  t.throws(() => KeyTable.decode(replaced(bytes, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => KeyTable.decode(replaced(bytes, 0, 0)), { code: 'MALFORMED' })
  for (let size = 0; size < bytes.length; size++) {
    assert.throws(() => KeyTable.decode(bytes.subarray(0, size)), { code: 'TRUNCATED' })
  }
  t.throws(() => KeyTable.decode(Buffer.concat([bytes, filled(1, 0)])), { code: 'MALFORMED' })
  t.throws(() => KeyTable.decode(flipped(bytes, 60)), { code: 'WRONG_KEY' })
  t.throws(() => KeyTable.decode(replaced(bytes, 5, 2)), { name: 'CryptoError' })
  const many = replaced(bytes, 3, 0xff)
  t.throws(() => KeyTable.decode(many), { code: 'MALFORMED' }, `over ${KEY_TABLE_ROWS_MAX}`)
})
