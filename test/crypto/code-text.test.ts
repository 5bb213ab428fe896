/** Codes as text: kinds, versions, spare bits, typing errors. */
import t from 'tap'
import {
  CODE_TEXT_CHARACTERS_MAX,
  codeTextCharacters,
  decodeCodeText,
  encodeCodeText
} from '../../src/crypto/code-text.ts'
import type { CodeKind } from '../../src/crypto/code-text.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { filled, toHex } from '../support/bytes.ts'

const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'
const kind: CodeKind = { name: 'test', label: 'grove/test/1', bytes: 4 }
const content = Uint8Array.of(0xde, 0xad, 0xbe, 0xef)
const code = encodeCodeText(kind, content)

/** z-base-32 and the check, written down a second time. */
function textOf(version: number, said: Uint8Array): string {
  const checked = Buffer.concat([Uint8Array.of(version), said])
  const check = blake2b(Buffer.concat([Buffer.from(kind.label), checked])).subarray(0, 4)
  const bits = Array.from(Buffer.concat([checked, check]), byte =>
    byte.toString(2).padStart(8, '0')
  ).join('')
  return bits.replaceAll(/.{1,5}/g, five => ALPHABET[Number.parseInt(five.padEnd(5, '0'), 2)] ?? '')
}

t.test('decodeCodeText() gives back what was written, for contents of every size', async t => {
  t.equal(code, textOf(1, content))
  t.equal(code.length, codeTextCharacters(kind))
  t.equal(toHex(decodeCodeText(kind, code)), toHex(content))
  for (let bytes = 0; bytes < 60; bytes++) {
    const sized = { ...kind, bytes }
    const text = encodeCodeText(sized, filled(bytes, 0xa5))
    t.equal(text.length, codeTextCharacters(sized))
    t.equal(toHex(decodeCodeText(sized, text)), 'a5'.repeat(bytes))
  }
  t.throws(() => encodeCodeText(kind, filled(5, 1)), RangeError)
})

t.test('decodeCodeText() does not mind case, spaces, line breaks and hyphens', async t => {
  const typed = ` ${code.slice(0, 4).toUpperCase()}-${code.slice(4)}\n\t`
  t.equal(toHex(decodeCodeText(kind, typed)), toHex(content))
})

t.test('decodeCodeText() refuses other kinds, versions, characters and spare bits', async t => {
  const malformed = { code: 'MALFORMED' }
  t.throws(() => decodeCodeText({ ...kind, label: 'grove/other/1' }, code), malformed)
  t.throws(() => decodeCodeText({ ...kind, bytes: 5 }, code), malformed)
  t.throws(() => decodeCodeText(kind, textOf(0, content)), malformed)
  t.throws(() => decodeCodeText(kind, textOf(2, content)), { code: 'NEWER_FORMAT' })
  t.throws(() => decodeCodeText(kind, code.replace(/^./, 'l')), malformed)
  t.throws(() => decodeCodeText(kind, ''), malformed)
  t.throws(() => decodeCodeText(kind, code + ' '.repeat(CODE_TEXT_CHARACTERS_MAX)), malformed)
  // 9 bytes are 72 bits, 15 characters have 75: the last one has eight spellings but for this.
  const last = ALPHABET.indexOf(code.at(-1) ?? '')
  for (let spare = 1; spare < 8; spare++) {
    const other = code.slice(0, -1) + ALPHABET[last + spare]
    t.throws(() => decodeCodeText(kind, other), malformed, other)
  }
})
