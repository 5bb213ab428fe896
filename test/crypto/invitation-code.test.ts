/** Codes of invitations: their text, typing errors, hostile texts. */
import t from 'tap'
import { CODE_TEXT_CHARACTERS_MAX } from '../../src/crypto/code-text.ts'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  INVITATION_SECRET_BYTES,
  decodeInvitationCode,
  encodeInvitationCode,
  pairingKeys
} from '../../src/crypto/invitation-code.ts'
import { blake2b } from '../../src/crypto/sodium.ts'
import { filled, toHex } from '../support/bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'

const secret = Uint8Array.from({ length: INVITATION_SECRET_BYTES }, (_, at) => at)
const expiresMs = 1_790_000_000_000
const code = encodeInvitationCode({ secret, expiresMs })

t.test('a code is one short line, always the same', async t => {
  t.equal(code, 'yryynyodyonocbaebrfysdypba8ayq7tpka41oph')
  t.equal(code.length, 40)
  t.same(decodeInvitationCode(code), { secret, expiresMs })
  t.equal(
    encodeInvitationCode({ secret, expiresMs: expiresMs + 999 }),
    code,
    'parts of a second do not count'
  )
})

t.test('case, spaces, line breaks and hyphens do not matter', async t => {
  const typed = ` ${code.slice(0, 8).toUpperCase()}-${code.slice(8, 20)}\n${code.slice(20)}\t`
  t.same(decodeInvitationCode(typed), { secret, expiresMs })
})

t.test('every typing error of one character, and every swap of two, is found', async t => {
  for (let at = 0; at < code.length; at++) {
    for (const character of ALPHABET) {
      if (character === code[at]) continue
      const wrong = code.slice(0, at) + character + code.slice(at + 1)
      if (!isRefused(wrong)) t.fail(`${wrong} was taken`)
    }
    const [left = '', right = ''] = code.slice(at, at + 2)
    if (left === right || right === '') continue
    if (!isRefused(code.slice(0, at) + right + left + code.slice(at + 2))) t.fail(`swap at ${at}`)
  }
})

t.test('what is no code is refused', async t => {
  const texts = [
    '',
    code.slice(1),
    `${code}y`,
    code.replace(/^./, 'l'),
    code.replace(/^./, 'é'),
    ' '.repeat(CODE_TEXT_CHARACTERS_MAX + 1),
    `${code}${' '.repeat(CODE_TEXT_CHARACTERS_MAX)}`,
    'https://example.org/?code=1234567890123456789012345678901234567890'
  ]
  for (const text of texts) t.throws(() => decodeInvitationCode(text), { code: 'MALFORMED' }, text)
  t.throws(() => decodeInvitationCode(ofVersion(0)), { code: 'MALFORMED' })
  t.throws(() => decodeInvitationCode(ofVersion(2)), { code: 'NEWER_FORMAT' })
})

t.test('pairingKeys() are of the secret, and of nothing else', async t => {
  const { seed, topic } = pairingKeys(secret)
  t.not(toHex(seed), toHex(topic))
  t.equal(toHex(pairingKeys(secret).seed), toHex(seed))
  const others = pairingKeys(filled(INVITATION_SECRET_BYTES, 1))
  t.not(toHex(others.seed), toHex(seed))
  t.not(toHex(others.topic), toHex(topic))
})

t.test(`decodeInvitationCode() survives ${FUZZ_INPUTS} hostile texts (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const characters = Array.from(code)
    for (let changes = 1 + random.integer(3); changes > 0; changes--) {
      const character = String.fromCharCode(random.integer(random.integer(2) === 0 ? 128 : 65_536))
      characters.splice(random.integer(characters.length), random.integer(2), character)
    }
    const text = characters.join('')
    if (!isRefused(text) && text.replaceAll(/[\s-]/g, '').toLowerCase() !== code) {
      t.fail(`taken: ${JSON.stringify(text)}`)
    }
  }
})

function isRefused(text: string): boolean {
  try {
    decodeInvitationCode(text)
    return false
  } catch (error) {
    if (error instanceof CryptoError) return true
    throw error
  }
}

/** The code with another version and a check that fits. */
function ofVersion(version: number): string {
  const bytes = new Uint8Array(25)
  bytes.set([version, ...secret])
  const label = Buffer.from('grove/invitation/1')
  bytes.set(blake2b(Buffer.concat([label, bytes.subarray(0, 21)])).subarray(0, 4), 21)
  return textOf(bytes)
}

/** z-base-32, written down a second time. */
function textOf(bytes: Uint8Array): string {
  const bits = Array.from(bytes, byte => byte.toString(2).padStart(8, '0')).join('')
  return bits.replaceAll(/.{5}/g, five => ALPHABET[Number.parseInt(five, 2)] ?? '')
}
