/** What we call of hyperswarm, which publishes no types. */
declare module 'hyperswarm' {
  import type HyperDHT from 'hyperdht'
  import type { DHTServer, NetworkKeyPair } from 'hyperdht'
  import type { NoiseSecretStream } from '@hyperswarm/secret-stream'

  /** A connection. */
  export type SwarmStream = NoiseSecretStream

  export interface PeerInfo {
    readonly publicKey: Uint8Array
    ban(banned: boolean): void
  }

  /** A topic that was joined. */
  export interface Discovery {
    /** Announces and looks it up again. */
    refresh(): Promise<unknown>
    /** Resolves when that was done once. */
    flushed(): Promise<boolean>
    /** Leaves the topic. */
    destroy(): Promise<void>
  }

  export interface HyperswarmOptions {
    readonly keyPair?: NetworkKeyPair
    readonly dht: HyperDHT
    readonly maxPeers?: number
    readonly maxParallel?: number
    /** True refuses, and bans. */
    readonly firewall?: (publicKey: Uint8Array) => boolean
  }

  export default class Hyperswarm {
    constructor(options: HyperswarmOptions)
    readonly keyPair: NetworkKeyPair
    readonly dht: HyperDHT
    readonly server: DHTServer
    /** Connections that are being opened by us. */
    readonly connecting: number
    readonly connections: ReadonlySet<NoiseSecretStream>
    readonly peers: Map<string, PeerInfo>
    join(topic: Uint8Array, options?: { server?: boolean; client?: boolean }): Discovery
    leave(topic: Uint8Array): Promise<void>
    joinPeer(publicKey: Uint8Array): void
    leavePeer(publicKey: Uint8Array): void
    listen(): Promise<unknown>
    flush(): Promise<boolean>
    destroy(options?: { readonly force?: boolean }): Promise<void>
    on(event: 'connection', listener: (stream: NoiseSecretStream, peer: PeerInfo) => void): this
    on(event: 'ban', listener: (peer: PeerInfo, error: Error) => void): this
    on(event: 'update', listener: () => void): this
  }
}
