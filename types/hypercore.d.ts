/** What we call of hypercore, which publishes no types. */
declare module 'hypercore' {
  import type { KeyPair } from 'hypercore-crypto'

  /** What a log's key is the hash of. */
  export interface Manifest {
    readonly version: 2
    readonly hash: 'blake2b'
    readonly allowPatch: boolean
    readonly quorum: number
    readonly signers: readonly {
      readonly signature: 'ed25519'
      readonly namespace: Uint8Array
      readonly publicKey: Uint8Array
    }[]
    readonly userData: Uint8Array
  }

  /** A batch of changes that is about to be written. */
  export interface CoreTransaction {
    deleteTreeNode(index: number): void
    putBlock(index: number, block: Uint8Array): void
    flush(): Promise<unknown>
  }

  export default class Hypercore {
    readonly key: Buffer
    readonly length: number
    readonly opened: boolean
    readonly core: {
      readonly state: { readonly storage: { write(): CoreTransaction } }
      readonly bitfield: { get(index: number): boolean }
    }
    ready(): Promise<void>
    append(
      blocks: readonly Uint8Array[],
      options: { readonly keyPair: KeyPair }
    ): Promise<{ readonly length: number }>
    get(index: number, options: { readonly wait: false }): Promise<Buffer | null>
    has(index: number): Promise<boolean>
    clear(start: number, end: number): Promise<unknown>
    close(): Promise<void>
    /** The key of a log with this manifest. */
    static key(manifest: Manifest): Buffer
    /** The hash of the first `length` blocks, of what is stored; fails when it is not. */
    static treeHashFromStorage(core: Hypercore, length: number): Promise<Buffer>
  }
}
