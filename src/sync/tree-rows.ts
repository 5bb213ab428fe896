/**
 * The rows of the index as the steps of a merge need them: what changes files, links and families
 * sees of the index, so that the index can be made of those steps.
 *
 * @module
 */
import type { ContentIndex } from './content-index.ts'
import type { EntryCausality } from './entry-causality.ts'
import type { FileFamilies } from './file-families.ts'
import type { InodeRecord } from './inode-record.ts'
import type { NamesView } from './names-view.ts'
import type { OperationHistory } from './operation-history.ts'
import type { InodeId, Name, OperationId, Piece } from './operation.ts'
import type { Table } from './table.ts'

/** An extended attribute. */
export interface XattrRecord {
  /** Its full name. */
  readonly name: Name
  /** Its value. */
  readonly value: Uint8Array
}

/** The tables of the index, and what keeps them in step. */
export interface TreeRows {
  /** Where the bytes of files are. */
  readonly content: ContentIndex
  /** Inodes by number. */
  readonly inodes: Table<InodeRecord>
  /** Extended attributes by inode and name. */
  readonly xattrs: Table<XattrRecord>
  /** Inodes without a name that are open, with what took the last one. */
  readonly orphans: Table<OperationId>
  /** Who had seen what. */
  readonly causality: EntryCausality
  /** Every operation that counts. */
  readonly history: OperationHistory
  /** Families of files. */
  readonly families: FileFamilies
  /** Names as they are shown. */
  readonly view: NamesView
  /** @returns the row of an inode. @throws {SyncError} `MISSING` */
  record(ino: number): InodeRecord
  /** @returns the inode number of a directory by its identity, or undefined if it is not known */
  directoryOf(id: InodeId): number | undefined
  /** The identity of a file that no operation records. */
  namelessId(ino: number): InodeId
  /** @returns a number that no inode of this index ever had, the same for the same operations */
  nextIno(): number
  /** Makes the content logs of pieces known. */
  addContentLogs(pieces: readonly Piece[]): void
  /** Removes an inode. @param by - the operation that took its last name */
  removeInode(ino: number, sec: number, by: OperationId): void
  /** Says that attributes, links or xattrs of an inode changed. */
  noteAttributes(ino: number): void
  /** Says that the content of a file changed. */
  noteContent(ino: number): void
}
