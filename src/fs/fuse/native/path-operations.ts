/**
 * A {@link Vfs} as libfuse's path-based operations: every call walks its path anew, because
 * fuse-native cannot tell the kernel of changes and nothing here may outlive one.
 *
 * Paths and link targets have one character per byte (the driver lets libfuse's `iconv` module
 * read the kernel's bytes as ISO 8859-1), so that their parts are {@link Name}s as they are. Names
 * of extended attributes do not pass that module and arrive as text.
 *
 * @module
 */
import type { Name } from '../../../sync/operation.ts'
import { FsError } from '../../fs-error.ts'
import {
  FILE_BYTES_MAX,
  ROOT_INODE,
  S_IFMT,
  S_IFREG,
  XATTR_LIST_BYTES_MAX,
  type AttributeChanges,
  type Attributes,
  type Caller,
  type InodeNumber,
  type MaybePromise,
  type Place,
  type Vfs
} from '../../vfs.ts'
import type { ReportFault } from '../errno.ts'
import { InodeTable } from './inode-table.ts'
import { OpenFiles } from './open-files.ts'
import { Orphans } from './orphans.ts'
import { entryWords, statfsWords, statWords, timeOfMilliseconds } from './stat-words.ts'

/** The longest link target, in bytes of the UTF-8 that fuse-native makes of it. */
export const TARGET_TEXT_BYTES_MAX = 4096

/** chown(2) leaves an owner as it is when it is this. */
const OWNER_UNCHANGED = 2 ** 32 - 1
const PERMISSION_BITS = 0o7777
const XATTR_CREATE = 1
const XATTR_REPLACE = 2
/** What a decoder writes for bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd'

/** A directory as fuse-native wants it: for every name what {@link entryWords} makes. */
export interface Listing {
  /** Names, one character per byte. */
  readonly names: readonly Name[]
  /** Inode numbers and types. */
  readonly stats: readonly Uint32Array[]
}

/** See the module. All methods fail with {@link FsError}. */
export class PathOperations {
  readonly #vfs: Vfs
  readonly #caller: Caller
  readonly #inodes = new InodeTable()
  readonly #files = new OpenFiles()
  readonly #orphans: Orphans

  /** @param caller - who owns what is made: libfuse does not pass on who asks */
  constructor(vfs: Vfs, caller: Caller, report: ReportFault) {
    this.#vfs = vfs
    this.#caller = caller
    this.#orphans = new Orphans(vfs, report)
  }

  // Attributes

  /** @returns a `struct stat` */
  getattr(path: string): Uint32Array {
    return this.#stat(path, this.#vfs.getattr(this.#inode(path)))
  }

  /** @returns a `struct stat` */
  fgetattr(path: string, file: number): Uint32Array {
    this.#orphans.settle()
    return this.#stat(path, this.#vfs.getattr(this.#files.get(file).ino))
  }

  /** See chmod(2). */
  chmod(path: string, mode: number): MaybePromise<void> {
    return this.#setattr(this.#inode(path), { mode: mode & PERMISSION_BITS })
  }

  /** See chown(2). */
  chown(path: string, uid: number, gid: number): MaybePromise<void> {
    return this.#setattr(this.#inode(path), {
      ...(uid !== OWNER_UNCHANGED && { uid }),
      ...(gid !== OWNER_UNCHANGED && { gid })
    })
  }

  /** See truncate(2). */
  truncate(path: string, size: number): MaybePromise<void> {
    return this.#resize(this.#inode(path), size)
  }

  /** See ftruncate(2). */
  ftruncate(file: number, size: number): MaybePromise<void> {
    return this.#resize(this.#files.get(file).ino, size)
  }

  /** Sets both times, in milliseconds since 1970. */
  utimens(path: string, atimeMs: number, mtimeMs: number): MaybePromise<void> {
    const [atime, mtime] = [timeOfMilliseconds(atimeMs), timeOfMilliseconds(mtimeMs)]
    return this.#setattr(this.#inode(path), { atime, mtime })
  }

  // Names

  /** See readlink(2). @throws {FsError} ENAMETOOLONG when the target does not get through */
  readlink(path: string): string {
    const target = Buffer.from(this.#vfs.readlink(this.#inode(path))).toString('latin1')
    checkTarget(target)
    return target
  }

  /** Makes a node without opening it. */
  mknod(path: string, mode: number, rdev: number): void {
    try {
      this.#vfs.mknod(this.#place(path), { mode, rdev }, this.#caller)
    } catch (error) {
      const isTaken = error instanceof FsError && error.code === 'EEXIST'
      // The kernel believed that there is no such name. It looks again and opens what is there,
      // or finds by itself that the name was to be new.
      if (isTaken && (mode & S_IFMT) === S_IFREG)
        throw new FsError('ESTALE', 'mknod', { cause: error })
      throw error
    }
  }

  /** See mkdir(2). */
  mkdir(path: string, mode: number): void {
    this.#vfs.mkdir(this.#place(path), mode & PERMISSION_BITS, this.#caller)
  }

  /** See symlink(2). */
  symlink(target: string, path: string): void {
    checkTarget(target)
    this.#vfs.symlink(this.#place(path), Buffer.from(target, 'latin1'), this.#caller)
  }

  /** See link(2). */
  link(from: string, to: string): void {
    this.#vfs.link(this.#inode(from), this.#place(to))
  }

  /** See unlink(2). libfuse also asks this of a hidden file that was closed. */
  unlink(path: string): void {
    const place = this.#place(path)
    if (this.#orphans.inodeOf(place.name) === undefined) this.#vfs.unlink(place)
    else this.#orphans.drop(place.name)
  }

  /** See rmdir(2). libfuse would lose the path of a hidden file in it, so it is not empty. */
  rmdir(path: string): void {
    const place = this.#place(path)
    this.#checkNothingHidden(place, 'rmdir')
    this.#vfs.rmdir(place)
  }

  /** See rename(2), which is also how libfuse hides an open file that is unlinked. */
  rename(from: string, to: string): void {
    const [source, target] = [this.#placeOf(from), this.#placeOf(to)]
    if (this.#orphans.inodeOf(source.name) !== undefined) {
      if (!this.#isHiding(source, target)) throw new FsError('ENOENT', 'rename')
      return this.#orphans.hideAgain(source.name, target.name)
    }
    const isOneStep = this.#orphans.isReplacedBy(to)
    if (!isOneStep) this.#orphans.settle()
    if (this.#isHiding(source, target)) {
      const { ino } = this.#vfs.lookup(source)
      return this.#orphans.hide({ path: from, place: source, ino }, target.name)
    }
    try {
      this.#checkNothingHidden(target, 'rename')
      this.#vfs.rename(source, target, 'replace')
    } finally {
      if (isOneStep) this.#orphans.replaced()
    }
  }

  /** Lists a directory. */
  readdir(path: string): Listing {
    const names: Name[] = []
    const stats: Uint32Array[] = []
    const handle = this.#vfs.opendir(this.#inode(path))
    try {
      this.#vfs.readdir(handle, 0, entry => {
        names.push(entry.name)
        stats.push(entryWords(entry, this.#inodes.numberOf(entry.ino)))
        return true
      })
    } finally {
      this.#vfs.releasedir(handle)
    }
    return { names, stats }
  }

  /** See fsync(2), of a directory. */
  async fsyncdir(path: string): Promise<void> {
    const handle = this.#vfs.opendir(this.#inode(path))
    try {
      await this.#vfs.fsyncdir(handle)
    } finally {
      this.#vfs.releasedir(handle)
    }
  }

  // Files

  /** @returns the number of the open file */
  open(path: string, flags: number): MaybePromise<number> {
    const ino = this.#inode(path)
    const handle = this.#vfs.open(ino, flags)
    if (!(handle instanceof Promise)) return this.#files.add({ ino, handle })
    return handle.then(opened => this.#files.add({ ino, handle: opened }))
  }

  /** @param into - filled before the promise settles. @returns how many bytes were read */
  read(file: number, into: Uint8Array, offset: number): MaybePromise<number> {
    const range = { offset, length: into.length }
    const parts = this.#vfs.read(this.#files.get(file).handle, range)
    return parts instanceof Promise ? parts.then(known => gather(known, into)) : gather(parts, into)
  }

  /** @param data - borrowed until the call returns. @returns how many bytes were written */
  write(file: number, data: Uint8Array, offset: number): MaybePromise<number> {
    if (offset > FILE_BYTES_MAX - data.length) throw new FsError('EFBIG', 'write')
    // The kernel takes set-user-ID away by itself, with a chmod before the write.
    return this.#vfs.write(this.#files.get(file).handle, data, { offset, killPrivileges: false })
  }

  /** See fsync(2). */
  async fsync(file: number): Promise<void> {
    return this.#vfs.fsync(this.#files.get(file).handle)
  }

  /** The last descriptor was closed. @param path - `-` when libfuse does not know it any more */
  release(path: string, file: number): MaybePromise<void> {
    const { ino, handle } = this.#files.remove(file)
    const name = path.slice(path.lastIndexOf('/') + 1) as Name
    if (!this.#files.isOpen(ino)) this.#orphans.dropAllOf(ino, name)
    return this.#vfs.release(handle)
  }

  /** @returns a `struct statvfs` */
  statfs(): Uint32Array {
    return statfsWords(this.#vfs.statfs())
  }

  // Extended attributes

  /** See setxattr(2). */
  setxattr(path: string, name: string, value: Uint8Array, flags: number): void {
    const replaces = (flags & XATTR_REPLACE) === 0 ? 'set' : 'replace'
    const mode = (flags & XATTR_CREATE) === 0 ? replaces : 'create'
    this.#vfs.setxattr(this.#inode(path), nameOfText(name), Buffer.from(value), mode)
  }

  /**
   * @param into - of length 0 to ask for the size; filled before the promise settles
   * @returns how many bytes the value has
   */
  getxattr(path: string, name: string, into: Uint8Array): MaybePromise<number> {
    const value = this.#vfs.getxattr(this.#inode(path), nameOfText(name))
    return value instanceof Promise
      ? value.then(known => answerSized(known, into, 'getxattr'))
      : answerSized(value, into, 'getxattr')
  }

  /** @param into - of length 0 to ask for the size. @returns how many bytes the list has */
  listxattr(path: string, into: Uint8Array): number {
    const names = this.#vfs.listxattr(this.#inode(path))
    const list = Buffer.from(names.map(name => `${name}\0`).join(''), 'latin1')
    if (list.length > XATTR_LIST_BYTES_MAX) throw new FsError('E2BIG', 'listxattr')
    return answerSized(list, into, 'listxattr')
  }

  /** See removexattr(2). */
  removexattr(path: string, name: string): void {
    this.#vfs.removexattr(this.#inode(path), nameOfText(name))
  }

  // The whole

  /** Does what was put off. */
  settle(): void {
    this.#orphans.settle()
  }

  /** The mount has ended: gives everything back that libfuse did not. */
  async close(): Promise<void> {
    this.#orphans.close()
    await Promise.all(this.#files.clear().map(async ({ handle }) => this.#vfs.release(handle)))
  }

  // Inside

  #inode(path: string): InodeNumber {
    this.#orphans.settle()
    if (path === '/') return ROOT_INODE
    const place = this.#placeOf(path)
    return this.#orphans.inodeOf(place.name) ?? this.#vfs.lookup(place).ino
  }

  #place(path: string): Place {
    this.#orphans.settle()
    return this.#placeOf(path)
  }

  /** Directories on the way are never hidden, so nothing has to be settled to walk them. */
  #placeOf(path: string): Place {
    const names = path.split('/').slice(1).map(checkBytes)
    const name = names.pop() ?? ('' as Name)
    let parent: InodeNumber = ROOT_INODE
    for (const part of names) parent = this.#vfs.lookup({ parent, name: part }).ino
    return { parent, name }
  }

  /** Whether a rename is libfuse hiding an open file, and not somebody who likes such names. */
  #isHiding(source: Place, target: Place): boolean {
    if (source.parent !== target.parent) return false
    if (!this.#orphans.isNextHiddenName(target.name)) return false
    const ino = this.#orphans.inodeOf(source.name) ?? this.#vfs.lookup(source).ino
    return this.#files.isOpen(ino)
  }

  #checkNothingHidden(place: Place, operation: string): void {
    const ino = this.#inodeIfThere(place)
    if (ino !== undefined && this.#orphans.isIn(ino)) throw new FsError('ENOTEMPTY', operation)
  }

  #inodeIfThere(place: Place): InodeNumber | undefined {
    try {
      return this.#vfs.lookup(place).ino
    } catch (error) {
      if (error instanceof FsError) return undefined
      throw error
    }
  }

  #stat(path: string, attributes: Attributes): Uint32Array {
    const name = path.slice(path.lastIndexOf('/') + 1) as Name
    const words = statWords(attributes, this.#inodes.numberOf(attributes.ino))
    // libfuse takes one link off what it has hidden, as if the hidden name were a link.
    if (this.#orphans.inodeOf(name) !== undefined) words[6] = attributes.nlink + 1
    return words
  }

  #resize(ino: InodeNumber, size: number): MaybePromise<void> {
    if (size > FILE_BYTES_MAX) throw new FsError('EFBIG', 'truncate')
    return this.#setattr(ino, { size })
  }

  #setattr(ino: InodeNumber, changes: AttributeChanges): MaybePromise<void> {
    const changed = this.#vfs.setattr(ino, changes)
    return changed instanceof Promise ? changed.then(() => undefined) : undefined
  }
}

/** @throws {FsError} EILSEQ for what is no byte */
function checkBytes(name: string): Name {
  for (let i = 0; i < name.length; i++)
    if (name.charCodeAt(i) > 255) throw new FsError('EILSEQ', 'name')
  return name as Name
}

/** @throws {FsError} EILSEQ when bytes were lost on the way */
function nameOfText(text: string): Name {
  if (text.includes(REPLACEMENT)) throw new FsError('EILSEQ', 'xattr name')
  return Buffer.from(text, 'utf8').toString('latin1') as Name
}

function checkTarget(target: string): void {
  checkBytes(target)
  if (Buffer.byteLength(target, 'utf8') > TARGET_TEXT_BYTES_MAX)
    throw new FsError('ENAMETOOLONG', 'link target')
}

function gather(parts: readonly Uint8Array[], into: Uint8Array): number {
  let length = 0
  for (const part of parts) {
    into.set(part, length)
    length += part.length
  }
  return length
}

function answerSized(bytes: Uint8Array, into: Uint8Array, operation: string): number {
  if (into.length === 0) return bytes.length
  if (bytes.length > into.length) throw new FsError('ERANGE', operation)
  into.set(bytes)
  return bytes.length
}
