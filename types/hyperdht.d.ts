/** What we call of hyperdht, which publishes no types. */
declare module 'hyperdht' {
  /** Where a node listens; `host` is an IPv4 address. */
  export interface NodeAddress {
    readonly host: string
    readonly port: number
  }

  /** What authenticates a device on the network; Ed25519. */
  export interface NetworkKeyPair {
    /** 32 bytes. */
    readonly publicKey: Uint8Array
    /** 64 bytes. */
    readonly secretKey: Uint8Array
  }

  export interface HyperDHTOptions {
    readonly bootstrap?: readonly NodeAddress[]
    /** One port, or the first and the one after the last to try. */
    readonly port?: number | readonly [number, number]
    readonly host?: string
    readonly ephemeral?: boolean
    readonly firewalled?: boolean
    readonly anyPort?: boolean
    readonly connectionKeepAlive?: number
  }

  export interface DHTServer {
    /** Asked before a handshake is answered; true refuses. */
    firewall: (publicKey: Uint8Array) => boolean | Promise<boolean>
    /** Announces it again, within seconds. */
    refresh(): void
  }

  export default class HyperDHT {
    constructor(options?: HyperDHTOptions)
    /** Its sockets; `networkInterfaces` is watched from the start, bound or not. */
    readonly io: { readonly networkInterfaces: { destroy(): Promise<void> } }
    /** Whether nodes answered lately. */
    readonly online: boolean
    /** Asks which nodes pass on handshakes to a device. */
    findPeer(
      publicKey: Uint8Array
    ): AsyncIterable<{ readonly peer: { readonly publicKey: Buffer } }>
    /** The newest genuine version that any node knows. */
    mutableGet(publicKey: Uint8Array): Promise<{
      readonly seq: number
      readonly value: Uint8Array | null
      readonly signature: Uint8Array
    } | null>
    /** Rejects when no node takes it. */
    mutablePut(
      keyPair: { readonly publicKey: Uint8Array },
      value: Uint8Array,
      options: { readonly seq: number; readonly signMutable: () => Uint8Array }
    ): Promise<unknown>
    /** Gives every node that answers. */
    findNode(target: Uint8Array): AsyncIterable<object>
    /** Resolves when the sockets are bound; rejects when the address is not to be had. */
    bind(): Promise<void>
    fullyBootstrapped(): Promise<void>
    /** Where its server socket is bound; null before it is. */
    localAddress(): NodeAddress | null
    /** Asks the network for nodes again, in the background. */
    refresh(): void
    destroy(options?: { readonly force?: boolean }): Promise<void>
    on(event: 'network-change' | 'network-update' | 'ready', listener: () => void): this
    /** A node that others start from; port and IPv4 host are required. */
    static bootstrapper(port: number, host: string, options?: HyperDHTOptions): HyperDHT
  }
}

/** How hyperdht signs records. */
declare module 'hyperdht/lib/persistent.js' {
  import type { NetworkKeyPair } from 'hyperdht'

  const Persistent: {
    signMutable(seq: number, value: Uint8Array, keyPair: NetworkKeyPair): Uint8Array
    verifyMutable(
      signature: Uint8Array,
      seq: number,
      value: Uint8Array,
      publicKey: Uint8Array
    ): boolean
  }
  export default Persistent
}
