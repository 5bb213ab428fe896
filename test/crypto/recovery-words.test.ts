/** The 24 words: the published BIP-39 vectors, and words that are refused. */
import t from 'tap'
import { RECOVERY_WORDS, generateWords, seedOfWords } from '../../src/crypto/recovery-words.ts'
import { toHex } from '../support/bytes.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const ABANDON = `${'abandon '.repeat(23)}art`
const ZOO = `${'zoo '.repeat(23)}vote`

t.test('generateWords() gives the published words for published entropy', async t => {
  // BIP-39, test vectors for 256 bits
  t.equal(generateWords({ bytes: count => new Uint8Array(count) }), ABANDON)
  t.equal(generateWords({ bytes: count => new Uint8Array(count).fill(0xff) }), ZOO)
})

t.test('seedOfWords() gives the published seed', async t => {
  // The seed of the all-zero entropy without a passphrase, as wallets publish it.
  t.equal(
    toHex(await seedOfWords(ABANDON)),
    '408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70' +
      '5489c6fc77dbd4e3dc1dd8cc6bc9f043db8ada1e243c4a0eafb290d399480840'
  )
})

t.test('seedOfWords() takes words as people type them', async t => {
  const words = generateWords(new SeededRandom(1))
  t.equal(words.split(' ').length, RECOVERY_WORDS)
  const seed = toHex(await seedOfWords(words))
  const typed = `\n  ${words.toUpperCase().split(' ').join(' \t\n')} `
  t.equal(toHex(await seedOfWords(typed)), seed)
  t.not(toHex(await seedOfWords(ABANDON)), seed)
})

t.test('seedOfWords() refuses bad words', async t => {
  const words = generateWords(new SeededRandom(1)).split(' ')
  const bad: readonly [string, string][] = [
    ['nothing', ''],
    ['23 words', words.slice(1).join(' ')],
    ['25 words', [...words, 'zoo'].join(' ')],
    ['12 valid words', `${'abandon '.repeat(11)}about`],
    ['a word of no list', ['grovegrove', ...words.slice(1)].join(' ')],
    ['a word twice', 'abandon '.repeat(24)],
    ['two words swapped', [words[1], words[0], ...words.slice(2)].join(' ')],
    ['another language', `${'abaisser '.repeat(23)}abeille`]
  ]
  for (const [what, text] of bad) {
    await t.rejects(seedOfWords(text), { name: 'CryptoError', code: 'BAD_WORDS' }, what)
  }
})
