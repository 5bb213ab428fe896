/**
 * Finds things in a drive's tree as it is shown, with the errors of the file system.
 *
 * A directory may be several that devices made at once and that are shown as one. Any of their
 * numbers finds it; the record has the number that is shown.
 *
 * @module
 */
import type { InodeRecord } from '../sync/inode-record.ts'
import type { LinkId, Name } from '../sync/operation.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { ShownName } from '../sync/names-view.ts'
import type { TreeIndex } from '../sync/tree-index.ts'
import { checkName, isDotName } from './check-name.ts'
import { isNameless } from './drive-attributes.ts'
import { absence, FsError } from './fs-error.ts'

/** A name and what it stands for. */
export interface Child {
  /** What it stands for. */
  readonly record: InodeRecord
  /** All that an operation about the name has to name; several for directories shown as one. */
  readonly links: readonly LinkId[]
}

/** What of an index is read. */
export type ShownTree = Pick<
  TreeIndex,
  'findInode' | 'lookup' | 'list' | 'parentOf' | 'inconsistent'
>

/** The tree of a drive. */
export class DriveTree {
  readonly #index: ShownTree
  readonly #isOpen: (ino: number) => boolean

  /** @param index - borrowed; @param isOpen - whether a directory without a name is still there */
  constructor(index: ShownTree, isOpen: (ino: number) => boolean) {
    this.#index = index
    this.#isOpen = isOpen
  }

  /** @throws {FsError} ENOENT */
  inode(ino: number, operation: string): InodeRecord {
    const record = this.#index.findInode(ino)
    if (record === undefined || this.#isGone(ino, record)) throw new FsError('ENOENT', operation)
    return record
  }

  /** @throws {FsError} ENOENT, ENOTDIR */
  directory(ino: number, operation: string): InodeRecord {
    const record = this.inode(ino, operation)
    if (record.kind !== 'directory') throw new FsError('ENOTDIR', operation)
    return record
  }

  /** A directory that may get or lose names: one that was removed may not. */
  directoryToChange(ino: number, operation: string): InodeRecord {
    const record = this.directory(ino, operation)
    if (isNameless(record)) throw new FsError('ENOENT', operation)
    return record
  }

  /** @throws {FsError} for names that cannot be; EIO when the index is damaged */
  child(parent: InodeRecord, name: Name, operation: string): Child | undefined {
    checkName(name, operation)
    const found = this.#index.lookup(parent.ino, name)
    return found && { record: this.#inodeOf(found, operation), links: found.links }
  }

  /** @throws {FsError} ENOENT besides */
  existingChild(parent: InodeRecord, name: Name, operation: string): Child {
    const child = this.child(parent, name, operation)
    if (child === undefined) throw absence(operation)
    return child
  }

  /** @throws {FsError} EEXIST */
  checkFreeName(parent: InodeRecord, name: Name, operation: string): void {
    checkName(name, operation)
    const isTaken = isDotName(name) || this.#index.lookup(parent.ino, name) !== undefined
    if (isTaken) throw new FsError('EEXIST', operation)
  }

  /** The directory that a directory is in: the root's is the root. */
  parentOf(directory: InodeRecord, operation: string): InodeRecord {
    const parent = this.#index.parentOf(directory.ino)
    return parent === undefined ? directory : this.inode(parent, operation)
  }

  /** Whether a directory is `ancestor` or lies below it. */
  isWithin(directory: InodeRecord, ancestor: InodeRecord): boolean {
    if (ancestor.kind !== 'directory') return false
    for (let at: number | undefined = directory.ino; at !== undefined;) {
      if (at === ancestor.ino) return true
      at = this.#index.parentOf(at)
    }
    return false
  }

  /** Everything in a directory, as of one moment. @throws {SyncError} `DAMAGED` */
  list(directory: InodeRecord): Iterable<ShownName> {
    const names = this.#index.list(directory.ino)
    // Each row is authenticated, that one is missing is not: a listing must not be short unnoticed.
    if (names.size !== directory.children) throw this.#index.inconsistent('a name is missing')
    return names.values()
  }

  /** The index keeps what is left of removed directories: others may still name them. */
  #isGone(ino: number, record: InodeRecord): boolean {
    return record.kind === 'directory' && isNameless(record) && !this.#isOpen(ino)
  }

  /** A name whose inode has no row is damage, not absence. */
  #inodeOf({ ino }: ShownName, operation: string): InodeRecord {
    const record = this.#index.findInode(ino)
    if (record) return record
    const cause = new SyncError('DAMAGED', 'a name of the index has no inode')
    throw new FsError('EIO', operation, { cause })
  }
}
