/** The part of z32 1.1 that `src/crypto/code-text.ts` calls. */
declare module 'z32' {
  interface Z32 {
    encode(bytes: Uint8Array): string
    /** Throws at a character that is not of the alphabet; spare bits are dropped. */
    decode(text: string): Uint8Array
  }

  const z32: Z32
  export default z32
}
