/**
 * What a merge changed in the tree that people see: enough to tell a kernel which of its caches
 * are stale.
 *
 * @module
 */
import type { Name } from './operation.ts'

/** A name that stands for something else than before. */
export interface ChangedName {
  /** Inode number of the directory as it is shown. */
  readonly directory: number
  /** The name. */
  readonly name: Name
  /** What it stood for, undefined when it was free. */
  readonly before: number | undefined
  /** What it stands for now, undefined when it is free. */
  readonly after: number | undefined
}

/** The difference between two views. */
export interface ViewChanges {
  /** Names that were added, removed or stand for another inode. */
  readonly names: readonly ChangedName[]
  /** Inodes of which an attribute, a link count or an xattr changed. */
  readonly attributes: ReadonlySet<number>
  /** Files of which bytes or the size changed. */
  readonly content: ReadonlySet<number>
}
