/**
 * The open files of a mount, under numbers that fit fuse-native's handles of 31 bits.
 *
 * @module
 */
import { FsError } from '../../fs-error.ts'
import type { HandleId, InodeNumber } from '../../vfs.ts'

/** How many files may be open at once. */
export const OPEN_FILES_MAX = 2 ** 20

/** An open file. */
export interface OpenFile {
  /** The file. */
  readonly ino: InodeNumber
  /** Its handle in the file system. */
  readonly handle: HandleId
}

/** See the module. A number is used again after the file was closed; 0 is none. */
export class OpenFiles {
  readonly #files = new Map<number, OpenFile>()
  readonly #counts = new Map<InodeNumber, number>()
  readonly #free: number[] = []
  readonly #filesMax: number

  /** @param filesMax - how many may be open at once */
  constructor(filesMax = OPEN_FILES_MAX) {
    this.#filesMax = filesMax
  }

  /** @returns its number. @throws {FsError} EMFILE */
  add(file: OpenFile): number {
    if (this.#files.size >= this.#filesMax) throw new FsError('EMFILE', 'open')
    const number = this.#free.pop() ?? this.#files.size + 1
    this.#files.set(number, file)
    this.#counts.set(file.ino, (this.#counts.get(file.ino) ?? 0) + 1)
    return number
  }

  /** @throws {FsError} EBADF */
  get(number: number): OpenFile {
    const file = this.#files.get(number)
    if (file === undefined) throw new FsError('EBADF', 'handle')
    return file
  }

  /** @returns what was open. @throws {FsError} EBADF */
  remove(number: number): OpenFile {
    const file = this.get(number)
    this.#files.delete(number)
    this.#free.push(number)
    const count = (this.#counts.get(file.ino) ?? 1) - 1
    if (count > 0) this.#counts.set(file.ino, count)
    else this.#counts.delete(file.ino)
    return file
  }

  /** Whether a file is open at least once. */
  isOpen(ino: InodeNumber): boolean {
    return this.#counts.has(ino)
  }

  /** Takes everything out. @returns what was open */
  clear(): readonly OpenFile[] {
    const files = [...this.#files.values()]
    this.#files.clear()
    this.#counts.clear()
    this.#free.length = 0
    return files
  }
}
