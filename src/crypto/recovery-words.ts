/**
 * The 24 words that a person writes down; the one home of bip39-mnemonic.
 *
 * Words are those of BIP-39 in English: 256 random bits and 8 bits of checksum. They are made
 * once, shown once and typed in once; nothing here keeps them.
 *
 * Source: BIP-39, "Mnemonic code for generating deterministic keys".
 *
 * @module
 */
import bip39 from 'bip39-mnemonic'
import { CryptoError } from './crypto-error.ts'
import { wipe } from './sodium.ts'
import type { Random } from './random.ts'

/** How many words there are. */
export const RECOVERY_WORDS = 24

const ENTROPY_BYTES = 32

/** Draws new words, separated by single spaces. */
export function generateWords(random: Random): string {
  const entropy = random.bytes(ENTROPY_BYTES)
  const words = bip39.entropyToMnemonic(entropy)
  wipe(entropy)
  return words
}

/**
 * The seed that the words stand for: PBKDF2-HMAC-SHA512, 2,048 rounds, without a passphrase.
 *
 * @param words - as a person types them: any case, any white space
 * @returns 64 secret bytes, which the caller wipes
 * @throws {CryptoError} `BAD_WORDS` when they are not 24, not of the English list, or one of
 *   them is wrong (found by the checksum 255 times in 256)
 */
export async function seedOfWords(words: string): Promise<Uint8Array> {
  const normal = words.trim().toLowerCase().split(/\s+/)
  if (normal.length !== RECOVERY_WORDS) {
    throw new CryptoError('BAD_WORDS', `${normal.length} words instead of ${RECOVERY_WORDS}`)
  }
  const mnemonic = normal.join(' ')
  if (!isEnglish(mnemonic)) {
    throw new CryptoError('BAD_WORDS', 'a word is not of the list, or two are in the wrong place')
  }
  return bip39.mnemonicToSeed(mnemonic)
}

/** Whether these are valid words of the English list: others do not come back as they were. */
function isEnglish(mnemonic: string): boolean {
  try {
    const entropy = bip39.mnemonicToEntropy(mnemonic)
    const same = bip39.entropyToMnemonic(entropy) === mnemonic
    wipe(entropy)
    return same
  } catch {
    return false
  }
}
