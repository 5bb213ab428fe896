/**
 * The real numbers of the disk a folder lives on, for `df` on the mounted drive.
 *
 * @module
 */
import { statfsSync } from 'node:fs'
import type { FileSystemStatus } from '../src/fs/vfs.ts'

/**
 * Asks the operating system. Synchronous: the answer comes from memory for a local disk.
 *
 * @param directory - a folder on the disk, never one inside a mounted drive
 */
export function diskStatus(directory: string): FileSystemStatus {
  const status = statfsSync(directory)
  return {
    blockBytes: status.bsize,
    blocks: status.blocks,
    blocksFree: status.bfree,
    blocksAvailable: status.bavail,
    inodes: status.files,
    inodesFree: status.ffree
  }
}
