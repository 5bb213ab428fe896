/** The version-1 envelope: its bytes, its sizes, and everything it must refuse. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { deriveKey } from '../../src/crypto/derive.ts'
import { KeyTable } from '../../src/crypto/key-table.ts'
import {
  CONTENT_BYTES_MAX,
  ENVELOPE_OVERHEAD_BYTES,
  SEALED_BYTES_MAX,
  SEALED_ENTRY_BYTES_MIN,
  SEAL_OVERHEAD_BYTES,
  Sealer,
  padme,
  sealedSize
} from '../../src/crypto/sealer.ts'
import type { SealPurpose } from '../../src/crypto/sealer.ts'
import { encrypt } from '../../src/crypto/sodium.ts'
import { filled, flipped, replaced, toHex } from '../support/bytes.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const keys = KeyTable.generate(new SeededRandom(1))
const drive = filled(32, 0xd)
const log = filled(32, 0x1)

function sealer(options: { purpose?: SealPurpose; drive?: Uint8Array; log?: Uint8Array } = {}) {
  return new Sealer({
    keys,
    purpose: 'block',
    drive,
    log,
    random: new SeededRandom(2),
    ...options
  })
}

/** Seals a frame of our making with the genuine key, as only a bug or a newer grove would. */
function sealFrame(frame: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(ENVELOPE_OVERHEAD_BYTES + frame.length)
  const header = Uint8Array.of(1, 1, 0, 0, 1, 0, 0, 0)
  sealed.set(header)
  const ascii = (text: string) => Buffer.from(text, 'latin1')
  const place = [ascii('grove/seal/1'), header, ascii('block'), drive, log, filled(8, 0)]
  encrypt({
    plain: frame,
    into: sealed.subarray(32),
    associated: Buffer.concat(place),
    nonce: sealed.subarray(8, 32),
    key: deriveKey({ key: keys.get(1).key, purpose: 'block', context: log })
  })
  return sealed
}

t.test('seal() gives fixed bytes for a fixed key and nonce', async t => {
  const content = new TextEncoder().encode('hello, grove')
  const entry = sealer({ purpose: 'entry' }).seal(content, 3)
  t.equal(toHex(entry), toHex(goldenVector('crypto', 'sealed entry 3')))
  const block = sealer().seal(content, 2 ** 40 + 5)
  t.equal(toHex(block), toHex(goldenVector('crypto', 'sealed block 2^40+5')))
})

t.test('open() gives back what was sealed, whatever its size', async () => {
  const random = new SeededRandom(3)
  for (const purpose of ['entry', 'block'] as const) {
    const subject = sealer({ purpose })
    const sizes = fc.oneof(fc.nat(600), fc.nat(300_000))
    const roundTrip = fc.property(sizes, fc.maxSafeNat(), (size, index) => {
      const content = random.bytes(size)
      const sealed = subject.seal(content, index)
      assert.equal(sealed.length, sealedSize(purpose, size))
      assert.equal(Buffer.compare(subject.open(sealed, index), content), 0)
    })
    fc.assert(roundTrip, { numRuns: 60 })
  }
})

t.test('seal() draws a new nonce each time and takes Buffers', async t => {
  const subject = sealer()
  const content = Buffer.from('the same')
  const [first, second] = [subject.seal(content, 0), subject.seal(content, 0)]
  t.not(toHex(first.subarray(8, 32)), toHex(second.subarray(8, 32)))
  t.equal(toHex(subject.open(Buffer.from(second), 0)), toHex(content))
  t.equal(content.toString(), 'the same', 'content is only read')
})

t.test('open() refuses every changed byte', async () => {
  const subject = sealer()
  const sealed = subject.seal(filled(20, 1), 4)
  const codes = (offset: number): readonly string[] => {
    if (offset < 2) return ['NEWER_FORMAT', 'MALFORMED']
    if (offset < 4) return ['NEWER_FORMAT']
    return offset < 8 ? ['UNKNOWN_KEY'] : ['FORGED']
  }
  for (let offset = 0; offset < sealed.length; offset++) {
    for (const mask of [1, 0x80]) {
      const found = codeOf(() => subject.open(flipped(sealed, offset, mask), 4))
      assert.ok(codes(offset).includes(found), `byte ${offset}: ${found}`)
    }
  }
})

t.test('open() refuses every shorter and longer copy', async t => {
  const subject = sealer()
  const sealed = subject.seal(filled(20, 1), 4)
  for (let size = 0; size < sealed.length; size++) {
    const code = size < SEAL_OVERHEAD_BYTES ? 'TRUNCATED' : 'FORGED'
    assert.throws(() => subject.open(sealed.subarray(0, size), 4), { code }, `${size} bytes`)
  }
  t.throws(() => subject.open(Buffer.concat([sealed, filled(1, 0)]), 4), { code: 'FORGED' })
})

t.test('open() refuses a genuine block at any other place', async t => {
  const sealed = sealer().seal(filled(20, 1), 4)
  const elsewhere: readonly [string, Sealer, number][] = [
    ['another index', sealer(), 5],
    ['an index 2^32 further', sealer(), 4 + 2 ** 32],
    ['another purpose', sealer({ purpose: 'entry' }), 4],
    ['another log', sealer({ log: filled(32, 2) }), 4],
    ['another drive', sealer({ drive: filled(32, 0xe) }), 4]
  ]
  for (const [place, subject, index] of elsewhere) {
    t.throws(() => subject.open(sealed, index), { code: 'FORGED' }, place)
  }
  t.equal(sealer().open(sealed, 4).length, 20)
})

t.test('open() refuses a newer version, suite, flag or codec', async t => {
  const subject = sealer()
  const sealed = subject.seal(filled(20, 1), 0)
  t.throws(() => subject.open(replaced(sealed, 0, 2), 0), { code: 'NEWER_FORMAT' }, 'version')
  t.throws(() => subject.open(replaced(sealed, 1, 2), 0), { code: 'NEWER_FORMAT' }, 'suite')
  t.throws(() => subject.open(replaced(sealed, 2, 1), 0), { code: 'NEWER_FORMAT' }, 'flag')
  t.throws(() => subject.open(replaced(sealed, 3, 0x80), 0), { code: 'NEWER_FORMAT' }, 'flag')
  for (const name of ['future version', 'unknown critical flag']) {
    t.throws(() => subject.open(goldenVector('crypto', `sealed block, ${name}`), 0), {
      code: 'NEWER_FORMAT'
    })
  }
  t.throws(() => subject.open(replaced(sealed, 0, 0), 0), { code: 'MALFORMED' })
  t.throws(() => subject.open(replaced(sealed, 1, 0), 0), { code: 'MALFORMED' })
})

t.test('open() checks the frame inside', async t => {
  const subject = sealer()
  const frame = Uint8Array.of(2, 0, 3, 0, 0, 0, 7, 8, 9, 0, 0)
  t.equal(toHex(subject.open(sealFrame(frame), 0)), '070809')
  const refused: readonly [string, Uint8Array, string][] = [
    ['another kind', replaced(frame, 0, 1), 'MALFORMED'],
    ['a codec we do not know', replaced(frame, 1, 1), 'NEWER_FORMAT'],
    ['a length beyond the frame', replaced(frame, 2, 6), 'MALFORMED'],
    ['a length of 2^31', replaced(frame, 5, 0x80), 'MALFORMED'],
    ['padding that is not zeros', replaced(frame, 9, 1), 'MALFORMED'],
    ['padding that does not end in zeros', replaced(frame, 10, 1), 'MALFORMED']
  ]
  for (const [what, bytes, code] of refused) {
    t.throws(() => subject.open(sealFrame(bytes), 0), { code }, what)
  }
})

t.test('seal() takes the newest key, open() any key of the table', async t => {
  const table = KeyTable.generate(new SeededRandom(4))
  const subject = new Sealer({
    keys: table,
    purpose: 'entry',
    drive,
    log,
    random: new SeededRandom(5)
  })
  const old = subject.seal(filled(5, 1), 0)
  table.generate(new SeededRandom(6))
  const recent = subject.seal(filled(5, 2), 1)
  t.equal(old[4], 1)
  t.equal(recent[4], 2)
  t.equal(toHex(subject.open(old, 0)), '0101010101')
  t.equal(toHex(subject.open(recent, 1)), '0202020202')
  const without = new Sealer({ keys, purpose: 'entry', drive, log, random: new SeededRandom(7) })
  t.throws(() => without.open(recent, 1), { code: 'UNKNOWN_KEY' })
  t.throws(() => without.open(old, 0), { code: 'FORGED' }, 'of another drive key 1')
})

t.test('padme() pads by at most 12 %, and powers of two not at all', async t => {
  const known: readonly [number, number][] = [
    [0, 0],
    [1, 1],
    [2, 2],
    [9, 10],
    [200, 208],
    [1000, 1024],
    [4097, 4352],
    [131_073, 135_168]
  ]
  for (const [length, padded] of known) t.equal(padme(length), padded, `${length}`)
  for (let exponent = 0; exponent < 24; exponent++) {
    t.equal(padme(2 ** exponent), 2 ** exponent, `2^${exponent}`)
  }
  const law = fc.property(fc.integer({ min: 1, max: CONTENT_BYTES_MAX }), length => {
    const padded = padme(length)
    assert.ok(padded >= length)
    assert.ok(padded <= length * 1.12 + 1, `${length} became ${padded}`)
    assert.equal(padme(padded), padded)
    assert.ok(padme(length + 1) >= padded, 'never shrinks')
  })
  fc.assert(law, { numRuns: 2000 })
})

t.test('sealedSize() hides small entries and keeps within the limit', async t => {
  t.equal(SEAL_OVERHEAD_BYTES, 54)
  for (const size of [0, 1, 100, 192]) t.equal(sealedSize('entry', size), SEALED_ENTRY_BYTES_MIN)
  t.ok(sealedSize('entry', 193) > SEALED_ENTRY_BYTES_MIN)
  t.equal(sealedSize('block', 4096), 4096 + SEAL_OVERHEAD_BYTES)
  t.equal(sealedSize('block', 131_072), 131_072 + SEAL_OVERHEAD_BYTES)
  t.ok(sealedSize('block', CONTENT_BYTES_MAX) <= SEALED_BYTES_MAX)
  t.throws(() => sealer().seal(new Uint8Array(CONTENT_BYTES_MAX + 1), 0), RangeError)
  t.equal(sealer().seal(new Uint8Array(CONTENT_BYTES_MAX), 0).length <= SEALED_BYTES_MAX, true)
})

t.test('Sealer refuses a place that is none', async t => {
  t.throws(() => sealer({ drive: filled(31, 0) }), RangeError)
  t.throws(() => sealer({ log: filled(33, 0) }), RangeError)
  for (const index of [-1, 1.5, 2 ** 53, NaN]) {
    t.throws(() => sealer().seal(filled(1, 0), index), RangeError, `${index}`)
  }
})

t.test('Sealer keeps its own copy of the log key', async t => {
  const mine = Buffer.from(log)
  const subject = sealer({ log: mine })
  mine.fill(9)
  const sealed = subject.seal(filled(3, 3), 0)
  t.equal(toHex(sealer().open(sealed, 0)), '030303')
})

function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
  return 'opened'
}
