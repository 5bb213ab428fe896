/**
 * Which inodes are in use: open through handles, or known to the kernel.
 *
 * @module
 */
import type { LinkId } from '../sync/operation.ts'
import { FsError } from './fs-error.ts'
import { ROOT_INODE, type DirectoryEntry, type HandleId, type InodeNumber } from './vfs.ts'

/** How many files and directories may be open at once. */
export const HANDLES_MAX = 1_048_576

/** An open file. */
export interface FileHandle {
  /** Tells the handles apart. */
  readonly kind: 'file'
  /** The inode. */
  readonly ino: InodeNumber
  /** Flags of open(2). */
  readonly flags: number
}

/** An open directory. */
export interface DirectoryHandle {
  /** Tells the handles apart. */
  readonly kind: 'directory'
  /** The inode. */
  readonly ino: InodeNumber
  /** The listing, as it was when it was last begun. */
  rows: readonly DirectoryEntry[] | undefined
}

const NONE: readonly InodeNumber[] = []

/** The inodes in use. */
export class OpenInodes {
  readonly #handles = new Map<HandleId, FileHandle | DirectoryHandle>()
  readonly #handleCounts = new Map<number, number>()
  readonly #remembered = new Map<number, number>()
  readonly #linkable = new Set<number>()
  /** A link that an open file was last seen to have. */
  readonly #throughs = new Map<number, LinkId>()
  /** For directories shown as another, by that one: numbers that the kernel still uses. */
  readonly #aliases = new Map<number, Set<InodeNumber>>()
  readonly #onUnused: (ino: number) => void
  #lastHandle = 0

  /** @param onUnused - called when an inode is neither open nor known any more */
  constructor(onUnused: (ino: number) => void) {
    this.#onUnused = onUnused
  }

  /** How many files and directories are open. */
  get handleCount(): number {
    return this.#handles.size
  }

  /** Whether an inode is open or known to the kernel. */
  isOpen(ino: number): boolean {
    return this.#handleCounts.has(ino) || this.#remembered.has(ino)
  }

  /** Whether what is remembered of an inode has to be kept true. */
  isKnown(ino: number): ino is InodeNumber {
    return ino === ROOT_INODE || this.isOpen(ino)
  }

  /** Counts one more reference of the kernel. */
  remember(ino: number): void {
    this.#remembered.set(ino, (this.#remembered.get(ino) ?? 0) + 1)
  }

  /** Takes references back; more than there are count as all. */
  forget(ino: number, count: number): void {
    const left = (this.#remembered.get(ino) ?? 0) - count
    if (left > 0) {
      this.#remembered.set(ino, left)
      return
    }
    this.#remembered.delete(ino)
    this.#checkUse(ino)
  }

  /** Opens a file. @param through - a link that it has, if any. @throws {FsError} EMFILE */
  openFile(ino: InodeNumber, flags: number, through: LinkId | undefined): HandleId {
    const handle = this.#add({ kind: 'file', ino, flags })
    if (through !== undefined) this.#throughs.set(ino, through)
    return handle
  }

  /** Opens a directory. @throws {FsError} EMFILE */
  openDirectory(ino: InodeNumber): HandleId {
    return this.#add({ kind: 'directory', ino, rows: undefined })
  }

  /** @returns an open file. @throws {FsError} EBADF */
  file(handle: HandleId, operation: string): FileHandle {
    const found = this.#handles.get(handle)
    if (found?.kind !== 'file') throw new FsError('EBADF', operation)
    return found
  }

  /** @returns an open directory. @throws {FsError} EBADF */
  directory(handle: HandleId, operation: string): DirectoryHandle {
    const found = this.#handles.get(handle)
    if (found?.kind !== 'directory') throw new FsError('EBADF', operation)
    return found
  }

  /** Gives a handle back. */
  close(handle: HandleId): void {
    const found = this.#handles.get(handle)
    if (found === undefined) return
    this.#handles.delete(handle)
    const left = (this.#handleCounts.get(found.ino) ?? 0) - 1
    if (left > 0) this.#handleCounts.set(found.ino, left)
    else this.#handleCounts.delete(found.ino)
    this.#checkUse(found.ino)
  }

  /** Says that a file without a name may be given one. */
  setLinkable(ino: number): void {
    this.#linkable.add(ino)
  }

  /** @returns whether a file without a name may be given one; it may only once */
  takeLinkable(ino: number): boolean {
    return this.#linkable.delete(ino)
  }

  /** Says what link a file has left, after this device removed another. */
  setThrough(ino: number, left: LinkId): void {
    if (this.#throughs.has(ino)) this.#throughs.set(ino, left)
  }

  /** A link that an open file had when it was last looked at. */
  throughOf(ino: number): LinkId | undefined {
    return this.#throughs.get(ino)
  }

  /** A directory that the kernel knows is shown as another from now on. */
  addAlias(ino: InodeNumber, shown: number): void {
    const aliases = this.#aliases.get(shown)
    if (aliases === undefined) this.#aliases.set(shown, new Set([ino]))
    else aliases.add(ino)
  }

  /** The numbers by which the kernel may know what is shown as `ino`. */
  knownAs(ino: number): readonly InodeNumber[] {
    const given = this.#aliases.get(ino)
    if (given === undefined) return this.isKnown(ino) ? [ino] : NONE
    const aliases = [...given].filter(alias => this.isKnown(alias))
    if (aliases.length === 0) this.#aliases.delete(ino)
    return this.isKnown(ino) ? [ino, ...aliases] : aliases
  }

  #add(open: FileHandle | DirectoryHandle): HandleId {
    if (this.#handles.size >= HANDLES_MAX) throw new FsError('EMFILE', 'open')
    const handle = ++this.#lastHandle as HandleId
    this.#handles.set(handle, open)
    this.#handleCounts.set(open.ino, (this.#handleCounts.get(open.ino) ?? 0) + 1)
    return handle
  }

  #checkUse(ino: number): void {
    if (this.isOpen(ino)) return
    this.#linkable.delete(ino)
    this.#throughs.delete(ino)
    this.#onUnused(ino)
  }
}
