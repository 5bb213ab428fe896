/** The part of keet-identity-key 3.2 that `src/crypto/identity.ts` calls. */
declare module 'keet-identity-key' {
  interface IdentityKeyPair {
    readonly publicKey: Uint8Array
    readonly secretKey: Uint8Array
  }

  interface IdentityProof {
    readonly version: number
    /** Milliseconds; stored as seconds. */
    readonly epoch: number
    readonly identity: Uint8Array
    readonly chain: { readonly publicKey: Uint8Array; readonly signature: Uint8Array }[]
  }

  export default class IdentityKey {
    static from(source: { readonly seed: Uint8Array }): Promise<IdentityKey>
    static attestDevice(
      device: Uint8Array,
      parent: IdentityKeyPair,
      proof: IdentityProof | Uint8Array
    ): Uint8Array
    static verify(
      proof: Uint8Array,
      attestedData: null,
      expected: { readonly expectedIdentity: Uint8Array; readonly expectedDevice: Uint8Array }
    ): { readonly identityPublicKey: Uint8Array; readonly devicePublicKey: Uint8Array } | null
    readonly identityKeyPair: IdentityKeyPair
    getEncryptionKey(label: Uint8Array): Uint8Array
    clear(): void
  }
}
