/** Short texts: what is a text, what is not, both ways. */
import t from 'tap'
import { ByteReader } from '../../src/crypto/byte-reader.ts'
import {
  SHORT_TEXT_BYTES_MAX,
  encodeShortText,
  readShortText
} from '../../src/crypto/short-text.ts'
import { toHex } from '../support/bytes.ts'

const REFUSED = ['\n', 'a\u0000', '\u001b[2J', '\u007f', '\u0085', '\u2028', '\u202e', '\u2066']

const read = (bytes: Uint8Array) => readShortText(new ByteReader(bytes))
/** Encodes without looking at the text. */
const raw = (utf8: Uint8Array) => Buffer.concat([Uint8Array.of(utf8.length), utf8])

t.test('readShortText() gives back what encodeShortText() was given', async t => {
  t.equal(toHex(encodeShortText('café')), '05636166c3a9')
  const longest = 'x'.repeat(SHORT_TEXT_BYTES_MAX)
  for (const text of ['', 'nas', 'the attic', 'дом', '家の箱', '📦', '\ufeffmark', longest]) {
    const reader = new ByteReader(encodeShortText(text))
    t.equal(readShortText(reader), text)
    reader.end()
  }
})

t.test('what cannot be shown is refused on both sides', async t => {
  for (const text of REFUSED) {
    const utf8 = Buffer.from(text)
    t.throws(() => encodeShortText(text), RangeError, toHex(utf8))
    t.throws(() => read(raw(utf8)), { code: 'MALFORMED' }, toHex(utf8))
  }
  t.throws(() => encodeShortText('half of a pair: \ud83d'), RangeError)
  t.throws(() => read(raw(Uint8Array.of(0xc3))), { code: 'MALFORMED' }, 'no UTF-8')
  t.throws(() => read(raw(Uint8Array.of(0xc0, 0x80))), { code: 'MALFORMED' }, 'a longer form')
})

t.test('limits hold on both sides', async t => {
  t.throws(() => encodeShortText('x'.repeat(SHORT_TEXT_BYTES_MAX + 1)), RangeError)
  t.throws(() => encodeShortText('é'.repeat(32)), RangeError, 'bytes count, not characters')
  t.throws(() => read(raw(Buffer.alloc(SHORT_TEXT_BYTES_MAX + 1, 'x'))), { code: 'MALFORMED' })
  t.throws(() => read(Uint8Array.of(2, 0x78)), { code: 'TRUNCATED' })
  t.throws(() => read(new Uint8Array(0)), { code: 'TRUNCATED' })
})
