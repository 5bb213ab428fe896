/**
 * What the benchmark asks of its client process.
 *
 * @module
 */

/** Size of a small file, in bytes. */
export const SMALL_FILE_BYTES = 4096

/** Size of one read or write of a stream, in bytes. */
export const CHUNK_BYTES = 1 << 20

/** What a client is asked to do; the directories exist unless it says that they are made. */
export type ClientRequest =
  /** Makes both directories, then times making `count` small files in the first. */
  | { operation: 'create'; directory: string; warm: string; count: number }
  /** Times stat of each of the small files, `passes` times over, after `warmPasses` untimed. */
  | {
      operation: 'stat'
      directory: string
      warm: string
      count: number
      passes: number
      warmPasses: number
    }
  /** Times open, read and close of each of the small files. */
  | { operation: 'read'; directory: string; warm: string; count: number }
  /** Times a new file written in chunks, up to close; with `durable`, up to fsync and close. */
  | { operation: 'write-stream'; path: string; warm: string; chunks: number; durable: boolean }
  /** Times reading a file in chunks; with `again`, the second time. */
  | { operation: 'read-stream'; path: string; chunks: number; again: boolean; warm: string }
  /** Times `count` appends of 4 KiB, each with its fsync. */
  | { operation: 'fsync'; path: string; warm: string; count: number }
  /** Makes the directory, then times `tar -x` into it. */
  | { operation: 'untar'; archive: string; directory: string }

/** How many appends an fsync is warmed up with. */
export const WARM_SYNCS = 8

/** How many small files each operation is warmed up with. */
export const WARM_COUNT = 64

/** How many chunks the file has that a stream is warmed up with. */
export const WARM_CHUNKS = 4
