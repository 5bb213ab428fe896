/** Statements about locator secrets: only the words make one, and the highest number counts. */
import t from 'tap'
import {
  LOCATOR_NUMBERS_MAX,
  newestLocator,
  openLocatorStatement,
  signLocatorStatement
} from '../../src/crypto/locator-statement.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { decodeStatement, encodeStatement, signStatement } from '../../src/crypto/statement.ts'
import { filled, toHex } from '../support/bytes.ts'
import { fuzzStatement } from '../support/fuzz-statement.ts'
import { goldenVector } from '../support/golden-vector.ts'
import { makePerson } from '../support/member-device.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const FUZZ_INPUTS = Number(process.env['GROVE_FUZZ'] ?? 100_000)
const SEED = Number(process.env['GROVE_SEED'] ?? 1)

const { identity } = await makePerson()
const person = identity.signing.publicKey
const bytes = signLocatorStatement(identity, 0)

t.test('openLocatorStatement() gives back the secret, in fixed bytes', async t => {
  t.equal(toHex(bytes), toHex(goldenVector('recovery', 'locator statement')))
  const { number, secret } = openLocatorStatement(bytes, person)
  t.equal(number, 0)
  t.equal(toHex(secret), toHex(identity.locatorSecret(0)))
})

t.test('only the identity can make one', async t => {
  const device = signingKeyPair(filled(32, 1))
  const statement = decodeStatement(bytes)
  const forged = encodeStatement(signStatement(statement, device))
  t.throws(() => openLocatorStatement(forged, person), { code: 'FORGED' })
  t.throws(() => openLocatorStatement(bytes, device.publicKey), { code: 'FORGED' })
  t.equal(newestLocator([forged], person), undefined)
})

t.test('numbers are few', async t => {
  const { domain, previous, body } = decodeStatement(bytes)
  for (const number of [-1, 0.5, LOCATOR_NUMBERS_MAX])
    t.throws(() => signLocatorStatement(identity, number), RangeError)
  for (const sequence of [0, LOCATOR_NUMBERS_MAX + 1]) {
    const content = { domain, sequence, previous, body }
    const signed = encodeStatement(signStatement(content, identity.signing))
    t.throws(() => openLocatorStatement(signed, person), { code: 'MALFORMED' })
  }
})

t.test('newestLocator() finds the highest number among anything', async t => {
  const numbered = [0, 2, 1].map(number => signLocatorStatement(identity, number))
  const newest = newestLocator([filled(3, 1), ...numbered, filled(100, 1)], person)
  t.equal(newest?.number, 2)
  t.equal(toHex(newest?.secret ?? filled(1, 0)), toHex(identity.locatorSecret(2)))
  t.equal(newestLocator([], person), undefined)
})

t.test(`openLocatorStatement() survives ${FUZZ_INPUTS} hostile inputs (seed ${SEED})`, async t => {
  const domain = 'recovery/locator'
  const { opened, failures } = fuzzStatement({
    random: new SeededRandom(SEED),
    inputs: FUZZ_INPUTS,
    genuine: bytes,
    keyPair: identity.signing,
    reopened: input => {
      const { number, secret: body } = openLocatorStatement(input, person)
      const { previous } = decodeStatement(input)
      const content = { domain, sequence: number + 1, previous, body }
      return encodeStatement(signStatement(content, identity.signing))
    }
  })
  t.same(failures, [])
  t.ok(opened > FUZZ_INPUTS / 100, `${opened} changed bodies were opened`)
})
