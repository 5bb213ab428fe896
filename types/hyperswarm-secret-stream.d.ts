/** What we call of @hyperswarm/secret-stream, which publishes no types. */
declare module '@hyperswarm/secret-stream' {
  import type { Duplex } from 'node:stream'

  /** A stream in memory or of a socket, of node:stream or of streamx. */
  type RawStream = Duplex | RawUdxStream

  /** The stream of udx-native below a connection of hyperdht. */
  export interface RawUdxStream {
    /** Smoothed round trip in milliseconds; 0 while it is not known. */
    readonly rtt: number
    /** How many packets came, acknowledgements included. */
    readonly packetsReceived: number
  }

  export interface SecretStreamOptions {
    readonly keyPair: { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
    readonly remotePublicKey?: Uint8Array
    readonly pattern?: 'XX' | 'IK'
  }

  export class NoiseSecretStream {
    constructor(isInitiator: boolean, rawStream: Duplex, options: SecretStreamOptions)
    readonly isInitiator: boolean
    readonly publicKey: Uint8Array
    readonly remotePublicKey: Uint8Array
    readonly handshakeHash: Uint8Array
    readonly destroying: boolean
    readonly rawStream: RawUdxStream | null
    /** Resolves to whether it opened; never rejects. */
    readonly opened: Promise<boolean>
    write(data: Uint8Array): boolean
    end(): void
    destroy(error?: Error): void
    /** Destroys the stream when nothing came for so long; 0 turns it off. */
    setTimeout(ms: number): void
    /** Sends an empty message whenever nothing was written for so long; 0 turns it off. */
    setKeepAlive(ms: number): void
    sendKeepAlive(): void
    static keyPair(seed?: Uint8Array): {
      readonly publicKey: Uint8Array
      readonly secretKey: Uint8Array
    }
    on(event: 'data', listener: (data: Uint8Array) => void): this
    on(event: 'open' | 'connect' | 'drain' | 'end' | 'close', listener: () => void): this
    on(event: 'error', listener: (error: Error) => void): this
  }

  export default NoiseSecretStream
}
