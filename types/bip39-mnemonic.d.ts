/** The part of bip39-mnemonic 2.5 that `src/crypto/recovery-words.ts` calls. */
declare module 'bip39-mnemonic' {
  const bip39: {
    entropyToMnemonic(entropy: Uint8Array): string
    mnemonicToEntropy(mnemonic: string): Uint8Array
    mnemonicToSeed(mnemonic: string): Promise<Uint8Array>
  }
  export default bip39
}
