/**
 * A model of power loss for a store on RocksDB: a copy of its directory, with the tail of the
 * write-ahead log cut off.
 *
 * RocksDB syncs every other file before it counts on it; only the log files have bytes that
 * the disk may not have yet. Such a file is a row of 32 KiB pages of records, each with a
 * header of 7 bytes: checksum (4), length (2), type (1). A batch longer than the rest of its
 * page is split into a first, middle and last record.
 *
 * Source: RocksDB wiki, "Write Ahead Log File Format".
 *
 * @module
 */
import { cp, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { walName, walNumber } from '../../src/replication/wal-sync.ts'

/** A place in the write-ahead log; the files of lower number are whole. */
export interface WalPosition {
  /** Number of the log file. */
  readonly number: number
  /** How many of its bytes. */
  readonly bytes: number
}

const PAGE_BYTES = 32_768
const HEADER_BYTES = 7
/** The record types that end a batch: one that is whole, and the last part of a split one. */
const BATCH_ENDS = new Set([1, 4])

/** Copies the directory of a store as it is on the disk, as after a `kill -9` of its process. */
export async function cloneStore(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, preserveTimestamps: true })
}

/** Cuts a copy of a store off at a position of its write-ahead log. */
export async function cutWal(directory: string, { number, bytes }: WalPosition): Promise<void> {
  for (const found of await walNumbers(directory)) {
    if (found > number) await rm(walPath(directory, found))
    if (found === number) await truncate(walPath(directory, found), bytes)
  }
}

/**
 * Where a loss of power may cut a store: at the synced position, after each batch beyond it,
 * and in the middle of each, in ascending order.
 *
 * @param synced - what is durable; nothing before it can be lost
 */
export async function cutPoints(directory: string, synced: WalPosition): Promise<WalPosition[]> {
  const points: WalPosition[] = []
  for (const number of (await walNumbers(directory)).filter(number => number >= synced.number)) {
    const start = number === synced.number ? synced.bytes : 0
    const ends = batchEnds(await readFile(walPath(directory, number))).filter(end => end > start)
    points.push({ number, bytes: start })
    let last = start
    for (const end of ends) {
      points.push({ number, bytes: Math.floor((last + end) / 2) }, { number, bytes: end })
      last = end
    }
  }
  return points
}

/** The offset after each batch of a log file. */
export function batchEnds(file: Buffer): number[] {
  const ends: number[] = []
  let offset = 0
  while (offset + HEADER_BYTES <= file.length) {
    const pageRest = PAGE_BYTES - (offset % PAGE_BYTES)
    if (pageRest < HEADER_BYTES) {
      offset += pageRest
      continue
    }
    const type = file.readUInt8(offset + 6)
    const end = offset + HEADER_BYTES + file.readUInt16LE(offset + 4)
    // Space that RocksDB reserved and has not written yet is zeros.
    if (type === 0 || end > file.length) break
    if (BATCH_ENDS.has(type)) ends.push(end)
    offset = end
  }
  return ends
}

async function walNumbers(directory: string): Promise<number[]> {
  const numbers = (await readdir(join(directory, 'db'))).map(walNumber)
  return numbers.filter(number => number !== undefined).toSorted((left, right) => left - right)
}

function walPath(directory: string, number: number): string {
  return join(directory, 'db', walName(number))
}
