/** Index rows: bytes, places, tampering, and that results do not disturb one another. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  HASHED_NAME_BYTES_MAX,
  ROW_OVERHEAD_BYTES,
  RowSealer
} from '../../src/crypto/row-sealer.ts'
import { filled, flipped, fromHex, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const rowKey = fromHex('0300000000000000ff')
const rows = (seed = 1, key = filled(32, 8)) =>
  new RowSealer({ key, random: new SeededRandom(seed) })

t.test('seal() and hashName() give fixed bytes', async t => {
  const sealed = rows().seal(rowKey, Buffer.from('an inode'))
  t.equal(toHex(sealed), toHex(goldenVector('crypto', 'sealed row')))
  t.equal(toHex(rows().hashName(5, 'name')), toHex(goldenVector('crypto', 'hashed name')))
})

t.test('open() gives back what was sealed, and results stay what they are', async () => {
  const subject = rows()
  const random = new SeededRandom(2)
  const manySizes = fc.array(fc.oneof(fc.nat(200), fc.nat(20_000)), { minLength: 1, maxLength: 60 })
  const roundTrip = fc.property(manySizes, sizes => {
    const contents = sizes.map(size => random.bytes(size))
    const sealed = contents.map(content => subject.seal(rowKey, content))
    const opened = sealed.map(each => subject.open(rowKey, each))
    contents.forEach((content, number) => {
      assert.equal(sealed[number]?.length, content.length + ROW_OVERHEAD_BYTES)
      assert.equal(toHex(opened[number] ?? filled(1, 0)), toHex(content))
    })
  })
  fc.assert(roundTrip, { numRuns: 30 })
})

t.test('seal() never uses a nonce twice', async t => {
  const subject = rows()
  const nonces = new Set<string>()
  for (let count = 0; count < 1000; count++) {
    nonces.add(toHex(subject.seal(rowKey, filled(1, 0)).subarray(1, 25)))
  }
  t.equal(nonces.size, 1000)
})

t.test('open() refuses every changed byte, size and place', async t => {
  const subject = rows()
  const sealed = subject.seal(rowKey, Buffer.from('an inode'))
  for (let offset = 1; offset < sealed.length; offset++) {
    assert.throws(() => subject.open(rowKey, flipped(sealed, offset)), { code: 'FORGED' })
  }
  for (let size = 0; size < sealed.length; size++) {
    const code = size < ROW_OVERHEAD_BYTES ? 'TRUNCATED' : 'FORGED'
    assert.throws(() => subject.open(rowKey, sealed.subarray(0, size)), { code })
  }
  t.throws(() => subject.open(flipped(rowKey, 0), sealed), { code: 'FORGED' }, 'another table')
  t.throws(() => subject.open(flipped(rowKey, 8), sealed), { code: 'FORGED' }, 'another row')
  t.throws(() => rows(1, filled(32, 9)).open(rowKey, sealed), { code: 'FORGED' }, 'another key')
  t.equal(Buffer.from(subject.open(rowKey, Buffer.from(sealed))).toString(), 'an inode')
})

t.test('open() refuses a newer version', async t => {
  const subject = rows()
  const sealed = subject.seal(rowKey, filled(4, 1))
  t.throws(() => subject.open(rowKey, replaced(sealed, 0, 2)), { code: 'NEWER_FORMAT' })
  t.throws(() => subject.open(rowKey, replaced(sealed, 0, 0)), { code: 'MALFORMED' })
})

t.test('hashName() depends on key, parent and name, not on how the name is passed', async t => {
  const subject = rows()
  const latin1 = String.fromCharCode(1, 0x2e, 0xff)
  t.equal(
    toHex(subject.hashName(7, latin1)),
    toHex(subject.hashName(7, Uint8Array.of(1, 0x2e, 0xff)))
  )
  const longest = 'n'.repeat(HASHED_NAME_BYTES_MAX)
  const hashes = new Set([
    toHex(subject.hashName(7, longest)),
    toHex(subject.hashName(7, longest.slice(1))),
    toHex(subject.hashName(8, longest)),
    toHex(subject.hashName(7 + 2 ** 32, longest)),
    toHex(subject.hashName(7, '')),
    toHex(rows(1, filled(32, 9)).hashName(7, longest))
  ])
  t.equal(hashes.size, 6)
  t.equal(toHex(subject.hashName(7, longest)), toHex(subject.hashName(7, longest)))
  t.throws(() => subject.hashName(7, longest + 'n'), RangeError)
  t.throws(() => subject.hashName(7, '\u0100'), RangeError)
  t.throws(() => subject.hashName(-1, 'n'), RangeError)
})
