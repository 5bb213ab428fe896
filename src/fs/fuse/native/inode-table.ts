/**
 * Inode numbers of 32 bits, which is all that fuse-native can say. A number is never hashed or
 * cut: tar and rsync take two names with equal numbers for one file.
 *
 * Numbers below 2^31 are said as they are, so they are as stable as the file system's own. Only
 * above, which a drive reaches after two thousand million inodes and for files that were made
 * without a name, a number is given out for as long as the mount lasts.
 *
 * @module
 */
import { FsError } from '../../fs-error.ts'
import type { InodeNumber } from '../../vfs.ts'

/** Numbers from here on are given out. */
export const GIVEN_INODE_FIRST = 2 ** 31
/** The largest number. */
export const GIVEN_INODE_LAST = 2 ** 32 - 1
/** How many are remembered; the one given longest ago is then given anew. */
export const GIVEN_INODES_MAX = 2 ** 20

/** See the module. */
export class InodeTable {
  readonly #given = new Map<InodeNumber, number>()
  readonly #givenMax: number
  readonly #last: number
  #next: number = GIVEN_INODE_FIRST

  /** @param givenMax - how many are remembered. @param last - the largest number to give */
  constructor(givenMax = GIVEN_INODES_MAX, last = GIVEN_INODE_LAST) {
    this.#givenMax = givenMax
    this.#last = last
  }

  /** The number of an inode in 32 bits. @throws {FsError} EIO when all have been given out */
  numberOf(ino: InodeNumber): number {
    if (ino < GIVEN_INODE_FIRST) return ino
    const known = this.#given.get(ino)
    if (known !== undefined) return known
    if (this.#next > this.#last) throw new FsError('EIO', 'stat')
    const number = this.#next++
    this.#given.set(ino, number)
    if (this.#given.size > this.#givenMax) this.#forgetOldest()
    return number
  }

  #forgetOldest(): void {
    const [oldest] = this.#given.keys()
    if (oldest !== undefined) this.#given.delete(oldest)
  }
}
