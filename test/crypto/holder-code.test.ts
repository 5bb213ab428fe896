/** Codes of holders: their text, expiry, typing errors, hostile texts. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import {
  HOLDER_SECRET_BYTES,
  decodeHolderCode,
  encodeHolderCode
} from '../../src/crypto/holder-code.ts'
import { encodeInvitationCode } from '../../src/crypto/invitation-code.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)
const ALPHABET = 'ybndrfg8ejkmcpqxot1uwisza345h769'

const network = Uint8Array.from({ length: 32 }, (_, at) => 255 - at)
const secret = Uint8Array.from({ length: HOLDER_SECRET_BYTES }, (_, at) => at)
const expiresMs = 1_790_000_000_000
const code = encodeHolderCode({ network, secret, expiresMs })
const normalized = (text: string) => text.replaceAll(/[\s-]/g, '').toLowerCase()

function isRefused(text: string): boolean {
  try {
    decodeHolderCode(text)
    return false
  } catch (error) {
    if (error instanceof CryptoError) return true
    throw error
  }
}

t.test('decodeHolderCode() gives back what was written, in a fixed text', async t => {
  t.equal(code, Buffer.from(goldenVector('crypto', 'holder code')).toString())
  t.equal(code.length, 92)
  t.same(decodeHolderCode(code), { network, secret, expiresMs })
  t.equal(encodeHolderCode({ network, secret, expiresMs: expiresMs + 999 }), code)
  const typed = ` ${code.slice(0, 8).toUpperCase()}-${code.slice(8, 20)}\n${code.slice(20)}\t`
  t.same(decodeHolderCode(typed), { network, secret, expiresMs })
})

t.test('a code may hold for ever, but not by rounding', async t => {
  const forEver = { network, secret, expiresMs: 0 }
  t.same(decodeHolderCode(encodeHolderCode(forEver)), forEver)
  t.throws(() => encodeHolderCode({ network, secret, expiresMs: 999 }), RangeError)
})

t.test('what is no code of a holder is refused', async t => {
  const invitation = encodeInvitationCode({ secret, expiresMs })
  for (const text of ['', invitation, code.slice(1), `${code}y`, code.replace(/^./, 'l')]) {
    t.throws(() => decodeHolderCode(text), { code: 'MALFORMED' }, text)
  }
  const future = Buffer.from(goldenVector('crypto', 'holder code, future version')).toString()
  t.throws(() => decodeHolderCode(future), { code: 'NEWER_FORMAT' })
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

t.test(`decodeHolderCode() survives ${FUZZ_INPUTS} hostile texts (seed ${SEED})`, async t => {
  const random = new SeededRandom(SEED)
  for (let count = 0; count < FUZZ_INPUTS; count++) {
    const characters = Array.from(code)
    for (let changes = 1 + random.integer(3); changes > 0; changes--) {
      const character =
        random.integer(2) === 0
          ? (ALPHABET[random.integer(32)] ?? '')
          : String.fromCharCode(random.integer(random.integer(2) === 0 ? 128 : 65_536))
      characters.splice(random.integer(characters.length), random.integer(2), character)
    }
    const text = characters.join('')
    if (!isRefused(text) && normalized(text) !== code) t.fail(`taken: ${JSON.stringify(text)}`)
  }
})
