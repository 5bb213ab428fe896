/**
 * The file system over a replica: what {@link Vfs} promises, as reads of the index and
 * operations of the drive. Changes of names and of inodes have files of their own.
 *
 * Where several errors apply, the one Linux reports comes first: inode or handle, then parent,
 * then name, then what the name stands for.
 *
 * Operations of other devices are merged between calls, never within one: what a call has
 * looked up stays true until it returns, and nothing that was looked up is kept for a later one.
 * A read that waits goes on with what it found.
 *
 * @module
 */
import type { Clock } from '../sync/clock.ts'
import type { CustodyView } from '../sync/custody-view.ts'
import type { InodeRecord } from '../sync/inode-record.ts'
import type { Name, VersionId } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'
import type { ViewChanges } from '../sync/view-changes.ts'
import { ChangeGate, OPERATION_BYTES } from './change-gate.ts'
import { checkXattrName } from './check-name.ts'
import { conflictAttribute, XATTR_CONFLICT } from './conflict-attribute.ts'
import { ContentPresence } from './content-presence.ts'
import { CopiesReport } from './copies-report.ts'
import { attributesOf, isNameless, typeOf } from './drive-attributes.ts'
import { DriveTree } from './drive-tree.ts'
import { durableElsewhere } from './durable-elsewhere.ts'
import { COPY_BYTES_MAX, FileContent } from './file-content.ts'
import { FsError } from './fs-error.ts'
import { InodeChanges, PERMISSION_BITS } from './inode-changes.ts'
import { NameChanges, ownerIn, type RenameMode } from './name-changes.ts'
import { OpenInodes, type DirectoryHandle, type FileHandle } from './open-inodes.ts'
import { readVersion } from './read-version.ts'
import { answerOf, hasRedundancy, isAnswer } from './redundancy-attributes.ts'
import { resolveConflict, type Keep } from './resolve-conflict.ts'
import { isNothing, seenChanges } from './seen-changes.ts'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  FILE_BYTES_MAX,
  O_ACCMODE,
  O_APPEND,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  type AttributeChanges,
  type Attributes,
  type Caller,
  type DirectoryEntry,
  type FileSystemStatus,
  type HandleId,
  type InodeNumber,
  type MaybePromise,
  type Opened,
  type Place,
  type Vfs,
  type VfsChanges,
  type WaitSignal
} from './vfs.ts'
import { guard, guardAsync } from './vfs-guard.ts'

/** How long a close waits for others to share its commit, in milliseconds. */
export const CLOSE_DELAY_MS = 2
/** For how long attributes hold while content is being fetched, in seconds. */
export const FETCHING_VALID_SEC = 1

/** What a drive's file system is made of. */
export interface DriveVfsParts {
  /** The drive; borrowed, the owner closes it after {@link DriveVfs.close}. */
  readonly replica: Replica
  /** Time. */
  readonly clock: Clock
  /** Refuse every change with EROFS. */
  readonly readOnly: boolean
  /** The disk that the drive lives on. */
  readonly statfs: () => FileSystemStatus
  /** The copies that others keep. */
  readonly custody: CustodyView
  /** Lets others have their turn within long work. */
  readonly yieldToEventLoop: () => Promise<void>
}

/** The file system over a replica. */
export class DriveVfs implements Vfs {
  /** See {@link Vfs.onChanged}. */
  onChanged: ((changes: VfsChanges) => void) | undefined
  readonly #replica: Replica
  readonly #clock: Clock
  readonly #statfs: () => FileSystemStatus
  readonly #gate: ChangeGate
  readonly #tree: DriveTree
  readonly #content: FileContent
  readonly #presence: ContentPresence
  readonly #custody: CustodyView
  readonly #pause: () => Promise<void>
  readonly #copies: CopiesReport
  readonly #open: OpenInodes
  readonly #inodes: InodeChanges
  readonly #names: NameChanges

  /** @param parts - borrowed; the replica's callbacks for a file system are set */
  constructor(parts: DriveVfsParts) {
    const { replica, clock, custody, yieldToEventLoop } = parts
    this.#custody = custody
    this.#pause = yieldToEventLoop
    this.#copies = new CopiesReport({ replica, custody, pause: yieldToEventLoop })
    this.#replica = replica
    this.#clock = clock
    this.#statfs = parts.statfs
    this.#gate = new ChangeGate(parts)
    this.#open = new OpenInodes(ino => this.#unused(ino))
    this.#tree = new DriveTree(replica.index, ino => this.#open.isOpen(ino))
    this.#content = new FileContent({ replica, clock, open: this.#open })
    this.#presence = new ContentPresence(parts)
    const shared = { replica, clock, tree: this.#tree, content: this.#content }
    this.#inodes = new InodeChanges(shared)
    this.#names = new NameChanges(shared, this.#open, this.#inodes)
    replica.isOpen = ino => this.#open.isOpen(ino)
    replica.beforeMerge = () => this.#content.flushAll()
    replica.onMerged = changes => this.#merged(changes)
    replica.onExecuted = changes => this.#executed(changes)
  }

  /** How many files and directories are open. */
  get openFiles(): number {
    return this.#open.handleCount
  }

  /** Bytes written that are not yet part of an operation. */
  get unflushedBytes(): number {
    return this.#content.unflushedBytes
  }

  /** Makes operations of all that was written; open files without a name go. The replica stays open. */
  close(): void {
    this.#content.flushAll()
    this.#content.close()
    const replica = this.#replica
    replica.isOpen = () => false
    replica.beforeMerge = () => undefined
    replica.onMerged = () => undefined
    replica.onExecuted = () => undefined
    try {
      replica.index.purgeOrphans(this.#clock.now().sec)
    } catch {
      // A damaged row must not keep the drive from closing: the next start purges them.
    }
  }

  /**
   * Ends a conflict: see {@link resolveConflict}.
   *
   * @param place - the conflict copy, or the file that it is a copy of
   * @returns the files that are there now
   * @throws {FsError} as it says
   */
  resolveConflict(place: Place, keep: Keep): readonly Place[] {
    return guard('resolveConflict', () => {
      const { index } = this.#replica
      const { ino } = this.#tree.directory(place.parent, 'resolveConflict')
      const before = index.list(ino)
      const left = resolveConflict(this, this.#replica, place, keep)
      this.#announce(difference(ino, before, index.list(ino)))
      return left
    })
  }

  /** See {@link readVersion}. */
  readVersion(
    ino: InodeNumber,
    version: VersionId,
    signal: AbortSignal
  ): AsyncIterable<Uint8Array> {
    return readVersion(this.#replica, ino, version, signal)
  }

  // Inodes

  /** See {@link Vfs.lookup}. */
  lookup(place: Place): Attributes {
    return guard('lookup', () => {
      const parent = this.#tree.directory(place.parent, 'lookup')
      if (place.name === '.') return attributesOf(parent)
      if (place.name === '..') return attributesOf(this.#tree.parentOf(parent, 'lookup'))
      return this.#attributes(this.#tree.existingChild(parent, place.name, 'lookup').record)
    })
  }

  /** See {@link Vfs.remember}. */
  remember(ino: InodeNumber): void {
    this.#open.remember(ino)
  }

  /** See {@link Vfs.forget}. */
  forget(ino: InodeNumber, count: number): void {
    guard('forget', () => this.#open.forget(ino, count))
  }

  /** See {@link Vfs.getattr}. */
  getattr(ino: InodeNumber): Attributes {
    return guard('getattr', () => this.#attributes(this.#tree.inode(ino, 'getattr')))
  }

  /** See {@link Vfs.setattr}. */
  setattr(ino: InodeNumber, changes: AttributeChanges): Attributes {
    // Cutting a file must work on a full disk, as removing it does.
    return this.#gate.removal('setattr', () => {
      this.#inodes.setattr(ino, changes)
      return this.#attributes(this.#tree.inode(ino, 'setattr'))
    })
  }

  /** See {@link Vfs.readlink}. */
  readlink(ino: InodeNumber): Uint8Array {
    return guard('readlink', () => {
      const record = this.#tree.inode(ino, 'readlink')
      if (record.kind !== 'symlink') throw new FsError('EINVAL', 'readlink')
      return record.target
    })
  }

  // Names

  /** See {@link Vfs.mknod}. */
  mknod(
    place: Place,
    node: { readonly mode: number; readonly rdev: number },
    caller: Caller
  ): Attributes {
    return this.#make('mknod', () => this.#names.mknod(place, node, caller))
  }

  /** See {@link Vfs.mkdir}. */
  mkdir(place: Place, mode: number, caller: Caller): Attributes {
    return this.#make('mkdir', () => this.#names.mkdir(place, mode, caller))
  }

  /** See {@link Vfs.symlink}. */
  symlink(place: Place, target: Uint8Array, caller: Caller): Attributes {
    return this.#make('symlink', () => this.#names.symlink(place, target, caller))
  }

  /** See {@link Vfs.link}. */
  link(ino: InodeNumber, place: Place): Attributes {
    return this.#make('link', () => this.#names.link(ino, place))
  }

  /** See {@link Vfs.unlink}. */
  unlink(place: Place): void {
    this.#gate.removal('unlink', () => this.#names.unlink(place))
  }

  /** See {@link Vfs.rmdir}. */
  rmdir(place: Place): void {
    this.#gate.removal('rmdir', () => this.#names.rmdir(place))
  }

  /** See {@link Vfs.rename}. */
  rename(from: Place, to: Place, mode: RenameMode): void {
    this.#gate.removal('rename', () => this.#names.rename(from, to, mode))
  }

  // Files

  /** See {@link Vfs.open}. */
  open(ino: InodeNumber, flags: number): HandleId {
    return guard('open', () => {
      const record = this.#tree.inode(ino, 'open')
      if (record.kind === 'directory') throw new FsError('EISDIR', 'open')
      if (record.kind === 'symlink') throw new FsError('ELOOP', 'open')
      if (record.kind !== 'file') throw new FsError('ENXIO', 'open')
      const isChanging = (flags & O_TRUNC) !== 0 || (flags & O_ACCMODE) !== O_RDONLY
      if (isChanging && this.#gate.isReadOnly) throw new FsError('EROFS', 'open')
      if ((flags & O_TRUNC) !== 0) this.#inodes.truncate(ino, 0, this.#clock.now())
      return this.#open.openFile(ino, flags, record.links[0]?.id)
    })
  }

  /** See {@link Vfs.create}. */
  create(
    place: Place,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    return this.#gate.change('create', OPERATION_BYTES, () => {
      const made = this.#names.create(place, node.mode, caller)
      const ino = made.ino as InodeNumber
      const handle = this.#open.openFile(ino, node.flags, made.links[0]?.id)
      return { handle, attributes: this.#attributes(made) }
    })
  }

  /** See {@link Vfs.tmpfile}. */
  tmpfile(
    parent: InodeNumber,
    node: { readonly mode: number; readonly flags: number },
    caller: Caller
  ): Opened {
    return this.#gate.change('tmpfile', OPERATION_BYTES, () => {
      const directory = this.#tree.directoryToChange(parent, 'tmpfile')
      const owner = ownerIn(directory, caller)
      const mode = node.mode & PERMISSION_BITS
      const record = this.#replica.index.addNameless({ mode, ...owner }, this.#clock.now())
      const ino = record.ino as InodeNumber
      if ((node.flags & O_EXCL) === 0) this.#open.setLinkable(ino)
      const handle = this.#open.openFile(ino, node.flags, undefined)
      return { handle, attributes: attributesOf(record) }
    })
  }

  /** See {@link Vfs.read}. */
  read(
    handle: HandleId,
    range: { readonly offset: number; readonly length: number },
    signal?: WaitSignal
  ): MaybePromise<readonly Uint8Array[]> {
    return guard('read', () => {
      const file = this.#open.file(handle, 'read')
      if (!isReadable(file)) throw new FsError('EBADF', 'read')
      if (range.offset < 0 || range.length < 0) throw new FsError('EINVAL', 'read')
      return this.#content.read(this.#tree.inode(file.ino, 'read'), range, signal)
    })
  }

  /** See {@link Vfs.write}. */
  write(
    handle: HandleId,
    data: Uint8Array,
    options: { readonly offset: number; readonly killPrivileges: boolean }
  ): MaybePromise<number> {
    return this.#gate.change('write', data.length, () => {
      const { ino, flags } = this.#writableFile(handle, 'write')
      if (options.offset < 0) throw new FsError('EINVAL', 'write')
      if (data.length === 0) return 0
      const record = this.#tree.inode(ino, 'write')
      const offset = (flags & O_APPEND) === 0 ? options.offset : this.#content.current(record).size
      if (offset > FILE_BYTES_MAX - data.length) throw new FsError('EFBIG', 'write')
      const time = this.#clock.now()
      this.#content.write(record, offset, data, time)
      this.#inodes.afterWriting(record, options.killPrivileges, time)
      const room = this.#replica.room()
      return room ? room.then(() => data.length) : data.length
    })
  }

  /** See {@link Vfs.flush}. */
  flush(handle: HandleId): void {
    guard('flush', () => this.#flushFile(this.#open.file(handle, 'flush')))
  }

  /** See {@link Vfs.fsync}. */
  fsync(handle: HandleId, signal?: WaitSignal): Promise<void> {
    return guardAsync('fsync', () => {
      const { ino } = this.#open.file(handle, 'fsync')
      this.#content.flush(ino)
      return this.#sync(ino, signal)
    })
  }

  /** See {@link Vfs.release}. */
  release(handle: HandleId): void {
    guard('release', () => {
      const file = this.#open.file(handle, 'release')
      try {
        this.#flushFile(file)
      } finally {
        this.#open.close(handle)
      }
    })
  }

  /** See {@link Vfs.fallocate}. */
  fallocate(
    handle: HandleId,
    range: { readonly mode: number; readonly offset: number; readonly length: number }
  ): void {
    this.#gate.change('fallocate', 0, () => {
      const { mode, offset, length } = range
      const file = this.#open.file(handle, 'fallocate')
      if (offset < 0 || length <= 0) throw new FsError('EINVAL', 'fallocate')
      const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
      const action = mode & ~FALLOC_FL_KEEP_SIZE
      checkFallocateMode(action, keepSize)
      if ((file.flags & O_ACCMODE) === O_RDONLY) throw new FsError('EBADF', 'fallocate')
      if (offset > FILE_BYTES_MAX - length) throw new FsError('EFBIG', 'fallocate')
      if (action === 0) this.#gate.checkSpace(length, 'fallocate')
      const { size } = this.#content.current(this.#tree.inode(file.ino, 'fallocate'))
      const end = offset + length
      const time = this.#clock.now()
      const hole = action === 0 ? { from: 0, to: 0 } : { from: offset, to: end }
      this.#content.punch(file.ino, hole, keepSize ? size : Math.max(size, end), time)
      this.#inodes.dropCapability(file.ino, time)
    })
  }

  /** See {@link Vfs.seek}. */
  seek(
    handle: HandleId,
    at: { readonly offset: number; readonly whence: 'data' | 'hole' }
  ): number {
    return guard('seek', () => {
      const { ino } = this.#open.file(handle, 'seek')
      const { size } = this.#content.current(this.#tree.inode(ino, 'seek'))
      if (at.offset < 0 || at.offset >= size) throw new FsError('ENXIO', 'seek')
      const found = this.#content.seek(ino, at)
      if (found === undefined) throw new FsError('ENXIO', 'seek')
      return Math.min(found, size)
    })
  }

  /** See {@link Vfs.copyFileRange}. */
  copyFileRange(
    from: { readonly handle: HandleId; readonly offset: number },
    to: { readonly handle: HandleId; readonly offset: number },
    length: number
  ): number {
    return this.#gate.change('copyFileRange', OPERATION_BYTES, () => {
      const source = this.#open.file(from.handle, 'copyFileRange')
      const target = this.#open.file(to.handle, 'copyFileRange')
      const appends = (target.flags & O_APPEND) !== 0
      if (!isReadable(source) || !isWritable(target) || appends)
        throw new FsError('EBADF', 'copyFileRange')
      if (from.offset < 0 || to.offset < 0 || length < 0)
        throw new FsError('EINVAL', 'copyFileRange')
      const { size } = this.#content.current(this.#tree.inode(source.ino, 'copyFileRange'))
      const count = Math.min(length, Math.max(0, size - from.offset), COPY_BYTES_MAX)
      if (to.offset > FILE_BYTES_MAX - count) throw new FsError('EFBIG', 'copyFileRange')
      const overlaps = to.offset + count > from.offset && to.offset < from.offset + count
      if (source.ino === target.ino && overlaps) throw new FsError('EINVAL', 'copyFileRange')
      if (count === 0) return 0
      const time = this.#clock.now()
      const [here, there] = [from.offset, to.offset]
      this.#content.copy(
        { ino: source.ino, offset: here },
        { ino: target.ino, offset: there },
        count,
        time
      )
      this.#inodes.dropCapability(target.ino, time)
      return count
    })
  }

  // Directories

  /** See {@link Vfs.opendir}. */
  opendir(ino: InodeNumber): HandleId {
    return guard('opendir', () => {
      this.#tree.directory(ino, 'opendir')
      return this.#open.openDirectory(ino)
    })
  }

  /** See {@link Vfs.readdir}. */
  readdir(handle: HandleId, offset: number, visit: (entry: DirectoryEntry) => boolean): void {
    guard('readdir', () => {
      const directory = this.#open.directory(handle, 'readdir')
      const rows = offset === 0 || !directory.rows ? this.#list(directory) : directory.rows
      for (let at = offset; at < rows.length; at++) {
        const row = rows[at]
        if (row === undefined || !visit(row)) return
      }
    })
  }

  /** See {@link Vfs.releasedir}. */
  releasedir(handle: HandleId): void {
    guard('releasedir', () => {
      this.#open.directory(handle, 'releasedir')
      this.#open.close(handle)
    })
  }

  /** See {@link Vfs.fsyncdir}. */
  fsyncdir(handle: HandleId, signal?: WaitSignal): Promise<void> {
    return guardAsync('fsyncdir', () =>
      this.#sync(this.#open.directory(handle, 'fsyncdir').ino, signal)
    )
  }

  // Extended attributes

  /** See {@link Vfs.getxattr}. */
  getxattr(ino: InodeNumber, name: Name, signal?: WaitSignal): MaybePromise<Uint8Array> {
    return guard('getxattr', () => {
      const record = this.#tree.inode(ino, 'getxattr')
      checkXattrName(name, 'getxattr')
      if (isAnswer(name) && hasRedundancy(record.kind)) return this.#answer(ino, name, signal)
      const value = this.#xattr(record, name)
      if (value === undefined) throw new FsError('ENODATA', 'getxattr')
      return value
    })
  }

  /** See {@link Vfs.listxattr}. */
  listxattr(ino: InodeNumber): readonly Name[] {
    return guard('listxattr', () => {
      const record = this.#tree.inode(ino, 'listxattr')
      const { index } = this.#replica
      const rows = record.xattrs === 0 ? [] : index.xattrsOf(record.ino).values()
      const names = Array.from(rows, row => row.name)
      return index.conflictOf(record.ino) ? [...names, XATTR_CONFLICT] : names
    })
  }

  /** See {@link Vfs.setxattr}. */
  setxattr(
    ino: InodeNumber,
    name: Name,
    value: Uint8Array,
    mode: 'set' | 'create' | 'replace'
  ): void {
    this.#gate.change('setxattr', value.length, () =>
      this.#inodes.setxattr(ino, { name, value }, mode, this.listxattr(ino))
    )
  }

  /** See {@link Vfs.removexattr}. */
  removexattr(ino: InodeNumber, name: Name): void {
    this.#gate.removal('removexattr', () =>
      this.#inodes.removexattr(ino, name, this.listxattr(ino))
    )
  }

  // The whole

  /** See {@link Vfs.statfs}. */
  statfs(): FileSystemStatus {
    return guard('statfs', () => this.#statfs())
  }

  /** See {@link Vfs.syncfs}. */
  syncfs(): Promise<void> {
    return guardAsync('syncfs', () => {
      this.#content.flushAll()
      return this.#replica.sync()
    })
  }

  // Inside

  /** Makes what was executed so far durable, here and on as many disks as an inode asks for. */
  async #sync(ino: number, signal: WaitSignal | undefined): Promise<void> {
    const replica = this.#replica
    await replica.sync()
    const record = replica.index.findInode(ino)
    // Nobody else has what only this device knows of.
    if (record === undefined || !this.#content.isRecorded(record)) return
    await durableElsewhere({ replica, custody: this.#custody, pause: this.#pause }, ino, signal)
  }

  #answer(ino: number, name: Name, signal: WaitSignal | undefined): MaybePromise<Uint8Array> {
    this.#content.flush(ino)
    const status = this.#copies.statusOf(ino, signal)
    return status instanceof Promise
      ? status.then(known => answerOf(name, known))
      : answerOf(name, status)
  }

  /** Runs what makes a name. */
  #make(operation: string, body: () => InodeRecord): Attributes {
    return this.#gate.change(operation, OPERATION_BYTES, () => this.#attributes(body()))
  }

  /** In the tick in which a merge became visible. */
  #merged(changes: ViewChanges): void {
    this.#presence.merged()
    for (const ino of changes.content) this.#presence.forget(ino)
    this.#announce(changes)
  }

  /** In the call that made the change: its caller knows what it asked for, and no more. */
  #executed({ names }: ViewChanges): void {
    const others = names.filter(changed => !this.#names.wasAskedFor(changed))
    if (others.length > 0)
      this.#announce({ names: others, attributes: new Set(), content: new Set() })
  }

  #announce(changes: ViewChanges): void {
    const seen = seenChanges(changes, { index: this.#replica.index, open: this.#open })
    if (!isNothing(seen)) this.onChanged?.(seen)
  }

  #attributes(record: InodeRecord): Attributes {
    const current = this.#content.current(record)
    const missing = this.#presence.missingBytes(record)
    if (missing === 0) return attributesOf(current)
    const allocated = Math.max(0, current.allocated - missing)
    return { ...attributesOf({ ...current, allocated }), validSec: FETCHING_VALID_SEC }
  }

  #xattr(record: InodeRecord, name: Name): Uint8Array | undefined {
    const { index } = this.#replica
    if (name !== XATTR_CONFLICT)
      return record.xattrs === 0 ? undefined : index.xattr(record.ino, name)?.value
    const conflict = index.conflictOf(record.ino)
    return conflict && conflictAttribute(conflict)
  }

  #flushFile(file: FileHandle): void {
    if (!isWritable(file)) return
    this.#content.flush(file.ino)
    this.#replica.commitWithin(CLOSE_DELAY_MS)
  }

  /** The last handle of an inode is gone and the kernel forgot it. */
  #unused(ino: number): void {
    this.#content.closed(ino)
    const record = this.#replica.index.findInode(ino)
    if (record === undefined || record.ino !== ino || !isNameless(record)) return
    this.#content.discard(ino)
    this.#replica.index.purge(ino, this.#clock.now().sec)
  }

  #writableFile(handle: HandleId, operation: string): FileHandle {
    const file = this.#open.file(handle, operation)
    if (!isWritable(file)) throw new FsError('EBADF', operation)
    return file
  }

  #list(handle: DirectoryHandle): readonly DirectoryEntry[] {
    const directory = this.#tree.directory(handle.ino, 'readdir')
    if (isNameless(directory)) throw new FsError('ENOENT', 'readdir')
    const parent = this.#tree.parentOf(directory, 'readdir')
    const rows = [
      entryOf('.' as Name, directory.ino, S_IFDIR, 1),
      entryOf('..' as Name, parent.ino, S_IFDIR, 2)
    ]
    for (const { name, ino, kind } of this.#tree.list(directory)) {
      rows.push(entryOf(name, ino, typeOf(kind), rows.length + 1))
    }
    handle.rows = rows
    return rows
  }
}

/** What of a directory's names has changed. */
function difference(
  directory: number,
  before: ReadonlyMap<Name, { readonly ino: number }>,
  after: ReadonlyMap<Name, { readonly ino: number }>
): ViewChanges {
  const names = [...new Set([...before.keys(), ...after.keys()])]
    .map(name => ({
      ...{ directory, name },
      ...{ before: before.get(name)?.ino, after: after.get(name)?.ino }
    }))
    .filter(changed => changed.before !== changed.after)
  return { names, attributes: new Set([directory]), content: new Set() }
}

function entryOf(name: Name, ino: number, type: number, nextOffset: number): DirectoryEntry {
  return { name, ino: ino as InodeNumber, type, nextOffset }
}

function checkFallocateMode(action: number, keepSize: boolean): void {
  const isKnown = action === 0 || action === FALLOC_FL_PUNCH_HOLE || action === FALLOC_FL_ZERO_RANGE
  const isPunch = action === FALLOC_FL_PUNCH_HOLE
  if (!isKnown || (isPunch && !keepSize)) throw new FsError('EOPNOTSUPP', 'fallocate')
}

function isReadable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_WRONLY
}

function isWritable(file: FileHandle): boolean {
  return (file.flags & O_ACCMODE) !== O_RDONLY
}
