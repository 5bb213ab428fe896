/** What we call of hypercore-storage, which publishes no types. */
declare module 'hypercore-storage' {
  export interface HypercoreStorageOptions {
    readonly blobFileSize?: number
    readonly blobGarbageCollectionAgeCutOff?: number
    readonly blobGarbageCollectionForceThreshold?: number
    readonly writeBufferSize?: number
    readonly blockCache?: boolean
    readonly tableCacheIndexAndFilterBlocks?: boolean
    /** Of nodes of the merkle trees; how many. */
    readonly treeCache?: { readonly maxSize: number }
  }

  /** A RocksDB column family. */
  export interface Database {
    /** Writes the memory table to the disk and syncs it. */
    flush(): Promise<void>
    /** The write-ahead log that takes the next write. */
    currentWalFile(): Promise<{ readonly number: number }>
    /** Compacts a range of keys; null is the beginning or the end. */
    compactRange(
      start: null,
      end: null,
      options: { readonly blobGarbageCollectionPolicy: number }
    ): Promise<void>
    /** What RocksDB knows about itself. */
    getProperty(name: string): Promise<string>
  }

  export default class HypercoreStorage {
    constructor(directory: string, options?: HypercoreStorageOptions)
    readonly rocks: { readonly path: string }
    readonly db: Database
    /** The lock, and the proof that the directory was not copied. */
    readonly deviceFile: { ready(): Promise<void> }
    ready(): Promise<void>
    close(): Promise<void>
  }
}
