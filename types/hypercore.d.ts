/** What we call of hypercore, which publishes no types. */
declare module 'hypercore' {
  import type { KeyPair } from 'hypercore-crypto'

  /** What a log's key is the hash of. */
  export interface Manifest {
    /** The version of its encoding. */
    readonly version: 2
    /** How blocks are hashed. */
    readonly hash: 'blake2b'
    /** Whether a quorum may sign less than the whole. */
    readonly allowPatch: boolean
    /** How many signers must sign. */
    readonly quorum: number
    /** Who signs. */
    readonly signers: readonly {
      /** The kind of signature. */
      readonly signature: 'ed25519'
      /** What tells these signatures from others by the same key, 32 bytes. */
      readonly namespace: Uint8Array
      /** The signer's key, 32 bytes. */
      readonly publicKey: Uint8Array
    }[]
    /** Anything. */
    readonly userData: Uint8Array
  }

  /** A batch of changes that is about to be written. */
  export interface CoreTransaction {
    deleteTreeNode(index: number): void
    putBlock(index: number, block: Uint8Array): void
    flush(): Promise<unknown>
  }

  /** A peer of one core: the core's channel on one connection. */
  export interface CorePeer {
    /** The other end's network key. */
    readonly remotePublicKey: Buffer
    /** How long the core is there, as the peer says. */
    readonly remoteLength: number
    /** How many blocks from 0 on it has without a gap, as it says. */
    readonly remoteContiguousLength: number
    /** The same as it said last; of a long log the other is less now and then (seen in 11.37.1). */
    readonly _remoteContiguousLength: number
    /** Which blocks it says that it has, as far as it was asked. */
    readonly remoteBitfield: {
      /** Whether it says that it has this one. */
      get(index: number): boolean
    }
    /** Whether blocks may be sent to it unasked. */
    readonly remoteAllowPush: boolean
    /** Nothing is asked of it nor given to it while this is set. */
    paused: boolean
    /** The connection. */
    readonly protomux: {
      /** Whether it takes more without queueing it. */
      readonly drained: boolean
    }
    /** Up to where proofs of the length were sent. */
    pushedLength: number
    /** It says which blocks it has. */
    onrange: (range: { readonly start: number; readonly length: number }) => unknown
    /** It says the same block by block. */
    onbitfield: (page: { readonly start: number }) => unknown
    /** What it asked for and was not answered yet, by the request's number. */
    readonly remoteRequests: Map<number, CorePeerRequest>
    /** Tells it that blocks are here, or no more. */
    wireRange: CoreWire<{
      readonly drop: boolean
      readonly start: number
      readonly length: number
    }>
    /** Tells it the same bit by bit. */
    wireBitfield: CoreWire<{ readonly start: number; readonly bitfield: Uint32Array }>
    /** Tells it that it gets no answer. */
    readonly wireNoData: CoreWire<{ readonly request: number; readonly reason: number }>
    /** Answers it. */
    _handleRequest: (request: CorePeerRequest) => Promise<void>
    /** Sends a block unasked, with the proofs that it needs. */
    push(index: number): Promise<void>
    /** It sent something. */
    ondata: (proof: CoreProof) => Promise<void>
    /** It does not answer a request. */
    onnodata(message: { readonly request: number; readonly reason: number }): void
    /** The same in turn with what else changes the length. */
    _handleData: (proof: CoreProof) => Promise<void>
  }

  /** Sends one kind of message to a peer. */
  export interface CoreWire<M> {
    /** Sends it. */
    send(message: M): unknown
  }

  /** What a peer asks for. */
  export interface CorePeerRequest {
    /** What names it. */
    readonly id: number
    /** The block it wants. */
    readonly block: {
      /** Its number. */
      readonly index: number
    } | null
    /** From which length on it wants the proof of a longer one. */
    readonly upgrade: {
      /** The length it has. */
      readonly start: number
    } | null
  }

  /** A hash in the tree of a log. */
  export interface ProofNode {
    /** Which one. */
    readonly index: number
    /** How many bytes are below it. */
    readonly size: number
    /** The hash. */
    readonly hash: Uint8Array
  }

  /** What a request and its answer have in common. */
  export interface CoreQuestion {
    /** Of which history of the log; 0 unless it was truncated. */
    readonly fork: number
    /** A node of the tree, if there is one. */
    readonly hash: {
      /** Which one. */
      readonly index: number
    } | null
    /** Where a byte is, if that is told. */
    readonly seek: {
      /** Which byte. */
      readonly bytes: number
    } | null
  }

  /** What a peer sent about a core. */
  export interface CoreProof extends CoreQuestion {
    /** Which request it answers; 0 when it was sent unasked. */
    readonly request: number
    /** A block, if there is one. */
    readonly block: {
      /** Its number. */
      readonly index: number
      /** Its bytes. */
      readonly value: Uint8Array | null
      /** Hashes beside its path up the tree. */
      readonly nodes: readonly ProofNode[]
    } | null
    /** A new length, if there is one. */
    readonly upgrade: {
      /** From which length. */
      readonly start: number
      /** By how many blocks. */
      readonly length: number
    } | null
  }

  /** A request under way; hypercore's own. */
  export interface CoreRequest extends CoreQuestion {
    /** Who was asked. */
    readonly peer: CorePeer
    /** For which block. */
    readonly block: {
      /** Its number. */
      readonly index: number
    } | null
    /** For what length. */
    readonly upgrade: object | null
  }

  /** The part of a core that talks to peers. */
  export interface CoreReplicator {
    readonly peers: readonly CorePeer[]
    setAllowPush(allowPush: boolean): void
    updateAll(): void
    /** What is being asked for, by the request's number. */
    readonly _inflight: { get(request: number): CoreRequest | null | undefined }
    onconflict(): Promise<void>
    /** Makes a block count as not asked for. */
    _unmarkInflight(index: number): void
  }

  /** A range that is being downloaded. */
  export interface CoreDownload {
    /** Asks for no more of it; what is under way arrives. */
    destroy(): void
  }

  export default class Hypercore {
    readonly key: Buffer
    readonly length: number
    readonly contiguousLength: number
    readonly opened: boolean
    readonly core: {
      readonly state: { readonly storage: { write(): CoreTransaction } }
      readonly bitfield: { get(index: number): boolean }
      readonly replicator: CoreReplicator
      verify: (proof: CoreProof, from: CorePeer) => Promise<boolean>
      _onconflict: () => Promise<void>
    }
    ready(): Promise<void>
    append(
      blocks: readonly Uint8Array[],
      options: {
        readonly keyPair: KeyPair
        /** Appends nothing when the log would be longer than that. */
        readonly maxLength: number
        /** Called in the core's lock when the entries are written, before they are announced. */
        readonly postappend: () => void
      }
    ): Promise<{ readonly length: number }>
    get(
      index: number,
      options:
        | { readonly wait: false }
        | { readonly timeout: number; readonly activeRequests: CoreRequest[] }
    ): Promise<Buffer | null>
    has(index: number): Promise<boolean>
    clear(start: number, end: number): Promise<unknown>
    download(
      range:
        { readonly start: number; readonly end: number } | { readonly blocks: readonly number[] }
    ): CoreDownload
    /** Whether channels to peers are kept open although nothing is asked for. */
    setActive(active: boolean): void
    replicate(stream: object): unknown
    close(): Promise<void>
    on(event: 'append', listener: () => void): this
    on(event: 'download', listener: (index: number, byteLength: number) => void): this
    on(event: 'peer-add' | 'peer-remove', listener: (peer: CorePeer) => void): this
    /** Gives up the requests that were or will be made with this list. */
    static destroyRequests(activeRequests: CoreRequest[]): void
    /** The key of a log with this manifest. */
    static key(manifest: Manifest): Buffer
    /** The hash of the first `length` blocks, of what is stored; fails when it is not. */
    static treeHashFromStorage(core: Hypercore, length: number): Promise<Buffer>
  }
}
