/** The part of blind-pairing 2.3 that `src/replication/pairing-carrier.ts` calls. */
declare module 'blind-pairing' {
  /** What an invitation is made of. */
  export interface Invite {
    readonly seed: Uint8Array
    readonly publicKey: Uint8Array
    readonly discoveryKey: Uint8Array
  }

  /** A request as a member sees it. */
  export interface MemberRequest {
    /** What the candidate sent; throws when it was not made with this invitation. */
    open(publicKey: Uint8Array): Uint8Array
    confirm(answer: {
      readonly key: Uint8Array
      readonly additional: { readonly data: Uint8Array; readonly signature: Uint8Array }
    }): void
    /** 1 rejected, 2 used, 3 expired. */
    deny(options: { readonly status: number }): void
  }

  /** A request as a candidate makes it. */
  export interface CandidateRequest {
    on(event: 'rejected', listener: (error: Error & { readonly code?: string }) => void): void
  }

  /** One side of a pairing. */
  export interface PairingSide {
    close(): Promise<void>
  }

  /** The part of hyperdht that is called: a mailbox for those who are not there at once. */
  export interface PairingMailbox {
    on(event: 'network-change', listener: () => void): void
    removeListener(event: 'network-change', listener: () => void): void
    lookup(topic: Uint8Array): AsyncIterable<never> & {
      readonly closestNodes: readonly never[]
      destroy(): void
    }
    announce(topic: Uint8Array): { finished(): Promise<void> }
    unannounce(topic: Uint8Array): Promise<void>
    mutableGet(publicKey: Uint8Array): Promise<null>
    mutablePut(keyPair: object, value: Uint8Array): Promise<void>
  }

  /** The part of hyperswarm that is called. */
  export interface PairingSwarm {
    readonly dht: PairingMailbox
    readonly connections: Iterable<object>
    on(event: 'connection', listener: (stream: object) => void): void
    removeListener(event: 'connection', listener: (stream: object) => void): void
    join(
      topic: Uint8Array,
      sides: { readonly server: boolean; readonly client: boolean }
    ): {
      readonly isServer: boolean
      readonly isClient: boolean
      flushed(): Promise<void>
      destroy(): Promise<void>
    }
    flush(): Promise<void>
  }

  export default class BlindPairing {
    static createInvite(
      key: Uint8Array,
      options: { readonly seed: Uint8Array; readonly data: Uint8Array }
    ): Invite & {
      readonly additional: { readonly data: Uint8Array; readonly signature: Uint8Array }
    }
    static createInvite(key: Uint8Array, options: { readonly seed: Uint8Array }): Invite
    constructor(swarm: PairingSwarm)
    addMember(options: {
      readonly discoveryKey: Uint8Array
      readonly onadd: (request: MemberRequest) => Promise<void>
    }): PairingSide & { _addRequest(value: Uint8Array): Promise<object | null> }
    addCandidate(options: {
      readonly invite: Invite
      readonly userData: Uint8Array
      readonly onadd: (answer: { readonly data: Uint8Array | null }) => Promise<void>
    }): PairingSide & {
      readonly request: CandidateRequest
      _addResponse(value: Uint8Array, isFromMailbox: boolean): Promise<void>
    }
    close(): Promise<void>
  }
}
