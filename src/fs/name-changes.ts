/**
 * Changes of names: making, linking, moving and removing. An operation names every link that its
 * name stands for, and directories by the identity of the one that is shown.
 *
 * @module
 */
import type { InodeRecord } from '../sync/inode-record.ts'
import { TARGET_BYTES_MAX, type Name, type NodeKind } from '../sync/operation.ts'
import { isDotName } from './check-name.ts'
import { isNameless, kindOf } from './drive-attributes.ts'
import type { Child } from './drive-tree.ts'
import { throughOf } from './file-content.ts'
import { FsError } from './fs-error.ts'
import { PERMISSION_BITS, type DriveParts, type InodeChanges } from './inode-changes.ts'
import type { ChangedName } from '../sync/view-changes.ts'
import type { OpenInodes } from './open-inodes.ts'
import { S_IFDIR, S_IFMT, type Caller, type InodeNumber, type Place } from './vfs.ts'

/** The most names one inode may have. */
export const LINKS_MAX = 32_000

const S_ISGID = 0o2000
const NO_BYTES = new Uint8Array(0)

/** How an existing target of a rename is treated. */
export type RenameMode = 'replace' | 'noreplace' | 'exchange'

/** What is made. */
interface NewNode {
  readonly kind: NodeKind
  readonly mode: number
  readonly rdev: number
  readonly target: Uint8Array
}

interface AskedName {
  /** Inode number of the directory. */
  readonly directory: number
  readonly name: Name
  /** Nothing has the name afterwards. */
  readonly isFree: boolean
}

interface Rename {
  readonly fromParent: InodeRecord
  readonly toParent: InodeRecord
  readonly moved: InodeRecord
  readonly there: InodeRecord | undefined
}

/** Changes names. */
export class NameChanges {
  readonly #parts: DriveParts
  readonly #open: OpenInodes
  readonly #inodes: InodeChanges
  /** What the names of the operation under way stand for when it has the usual effect. */
  #asked: readonly AskedName[] = []

  /** @param parts - borrowed */
  constructor(parts: DriveParts, open: OpenInodes, inodes: InodeChanges) {
    this.#parts = parts
    this.#open = open
    this.#inodes = inodes
  }

  /** Whether a change of a name is what the operation under way was asked for. */
  wasAskedFor({ directory, name, after }: ChangedName): boolean {
    return this.#asked.some(
      asked => asked.directory === directory && asked.name === name && asked.isFree === !after
    )
  }

  /** Makes a regular file, FIFO, socket or device node. @throws {FsError} */
  mknod(
    place: Place,
    node: { readonly mode: number; readonly rdev: number },
    caller: Caller
  ): InodeRecord {
    const parent = this.#parts.tree.directoryToChange(place.parent, 'mknod')
    const type = node.mode & S_IFMT
    const kind = kindOf(type)
    if (kind === undefined) throw new FsError(type === S_IFDIR ? 'EPERM' : 'EINVAL', 'mknod')
    const rdev = kind === 'character' || kind === 'block' ? node.rdev : 0
    const made = { kind, mode: node.mode, rdev, target: NO_BYTES }
    return this.#create(parent, place.name, made, caller, 'mknod')
  }

  /** Makes a directory. @throws {FsError} */
  mkdir(place: Place, mode: number, caller: Caller): InodeRecord {
    const { tree, clock, replica } = this.#parts
    const { parent: ino, name } = place
    const parent = tree.directoryToChange(ino, 'mkdir')
    tree.checkFreeName(parent, name, 'mkdir')
    const inherited = parent.mode & S_ISGID
    const owner = { uid: caller.uid, gid: inherited ? parent.gid : caller.gid }
    const bits = (mode & PERMISSION_BITS) | inherited
    const time = clock.now()
    this.#asking([{ directory: parent.ino, name, isFree: false }], () =>
      replica.execute({ type: 'mkdir', parent: parent.id, name, mode: bits, ...owner, time })
    )
    return tree.existingChild(parent, name, 'mkdir').record
  }

  /** Makes a symbolic link. @throws {FsError} */
  symlink(place: Place, target: Uint8Array, caller: Caller): InodeRecord {
    if (target.length === 0) throw new FsError('ENOENT', 'symlink')
    if (target.length > TARGET_BYTES_MAX) throw new FsError('ENAMETOOLONG', 'symlink')
    if (target.includes(0)) throw new FsError('EINVAL', 'symlink')
    const parent = this.#parts.tree.directoryToChange(place.parent, 'symlink')
    const node = { kind: 'symlink', mode: 0o777, rdev: 0, target } as const
    return this.#create(parent, place.name, node, caller, 'symlink')
  }

  /** Makes a regular file. @throws {FsError} */
  create(place: Place, mode: number, caller: Caller): InodeRecord {
    const parent = this.#parts.tree.directoryToChange(place.parent, 'create')
    const node = { kind: 'file', mode, rdev: 0, target: NO_BYTES } as const
    return this.#create(parent, place.name, node, caller, 'create')
  }

  /** Gives a file another name. @throws {FsError} */
  link(ino: InodeNumber, place: Place): InodeRecord {
    const { tree, content, clock, replica } = this.#parts
    const file = tree.inode(ino, 'link')
    const parent = tree.directoryToChange(place.parent, 'link')
    tree.checkFreeName(parent, place.name, 'link')
    if (file.kind === 'directory') throw new FsError('EPERM', 'link')
    if (file.links.length >= LINKS_MAX) throw new FsError('EMLINK', 'link')
    if (isNameless(file)) {
      if (!this.#open.takeLinkable(ino)) throw new FsError('ENOENT', 'link')
      this.#nameNameless(file, parent, place.name)
    } else {
      content.flush(ino)
      const [inode, through, { name }] = [file.id, throughOf(file), place]
      const time = clock.now()
      this.#asking([{ directory: parent.ino, name, isFree: false }], () =>
        replica.execute({ type: 'link', inode, through, parent: parent.id, name, time })
      )
    }
    return tree.inode(ino, 'link')
  }

  /** Removes a name of a file. @throws {FsError} */
  unlink(place: Place): void {
    const { tree, clock, replica } = this.#parts
    const parent = tree.directoryToChange(place.parent, 'unlink')
    if (isDotName(place.name)) throw new FsError('EISDIR', 'unlink')
    const { record, links } = tree.existingChild(parent, place.name, 'unlink')
    if (record.kind === 'directory') throw new FsError('EISDIR', 'unlink')
    this.#beforeLosingName(record)
    const time = clock.now()
    this.#asking([{ directory: parent.ino, name: place.name, isFree: true }], () =>
      replica.execute({ type: 'unlink', parent: parent.id, links, time })
    )
    this.#lostName(record)
  }

  /** Removes a directory. @throws {FsError} */
  rmdir(place: Place): void {
    const { tree, clock, replica } = this.#parts
    const parent = tree.directoryToChange(place.parent, 'rmdir')
    if (place.name === '.') throw new FsError('EINVAL', 'rmdir')
    if (place.name === '..') throw new FsError('ENOTEMPTY', 'rmdir')
    const { record, links } = tree.existingChild(parent, place.name, 'rmdir')
    if (record.kind !== 'directory') throw new FsError('ENOTDIR', 'rmdir')
    if (record.children > 0) throw new FsError('ENOTEMPTY', 'rmdir')
    const time = clock.now()
    this.#asking([{ directory: parent.ino, name: place.name, isFree: true }], () =>
      replica.execute({ type: 'rmdir', parent: parent.id, links, time })
    )
  }

  /** Moves a name. @throws {FsError} */
  rename(from: Place, to: Place, mode: RenameMode): void {
    const { tree } = this.#parts
    const fromParent = tree.directory(from.parent, 'rename')
    const toParent = tree.directory(to.parent, 'rename')
    if (isDotName(from.name)) throw new FsError('EBUSY', 'rename')
    if (isDotName(to.name)) throw new FsError(mode === 'noreplace' ? 'EEXIST' : 'EBUSY', 'rename')
    if (isNameless(fromParent)) throw new FsError('ENOENT', 'rename')
    const moved = tree.existingChild(fromParent, from.name, 'rename')
    if (isNameless(toParent)) throw new FsError('ENOENT', 'rename')
    const there = tree.child(toParent, to.name, 'rename')
    this.#checkRename({ fromParent, toParent, moved: moved.record, there: there?.record }, mode)
    if (moved.record.ino === there?.record.ino) return
    this.#parts.content.flush(moved.record.ino)
    const [first, second] = [
      { parent: fromParent.id, name: from.name },
      { parent: toParent.id, name: to.name }
    ]
    const isExchange = mode === 'exchange'
    const asked = [
      { directory: fromParent.ino, name: from.name, isFree: !isExchange },
      { directory: toParent.ino, name: to.name, isFree: false }
    ]
    this.#asking(asked, () => {
      if (there && isExchange) this.#exchange({ moved, first, there, second })
      else this.#move(moved, { from: first, to: second }, there)
    })
  }

  #asking(names: readonly AskedName[], body: () => void): void {
    this.#asked = names
    try {
      body()
    } finally {
      this.#asked = []
    }
  }

  #move(
    { links }: Child,
    place: {
      readonly from: { readonly parent: InodeRecord['id'] }
      readonly to: { readonly parent: InodeRecord['id']; readonly name: Name }
    },
    there: Child | undefined
  ): void {
    const { clock, replica } = this.#parts
    if (there) this.#beforeLosingName(there.record)
    const { parent, name } = place.to
    replica.execute({
      ...{ type: 'rename', links, from: place.from.parent, parent, name },
      ...{ replaced: there?.links ?? [], time: clock.now() }
    })
    if (there) this.#lostName(there.record)
  }

  #exchange(swap: {
    readonly moved: Child
    readonly first: { readonly parent: InodeRecord['id']; readonly name: Name }
    readonly there: Child
    readonly second: { readonly parent: InodeRecord['id']; readonly name: Name }
  }): void {
    const { content, clock, replica } = this.#parts
    const { moved, there, first, second } = swap
    content.flush(there.record.ino)
    replica.execute({
      ...{ type: 'exchange', links: moved.links, first, others: there.links, second },
      time: clock.now()
    })
  }

  #create(
    parent: InodeRecord,
    name: Name,
    node: NewNode,
    caller: Caller,
    operation: string
  ): InodeRecord {
    const { tree, clock, replica } = this.#parts
    tree.checkFreeName(parent, name, operation)
    const mode = node.mode & PERMISSION_BITS
    const owner = ownerIn(parent, caller)
    const time = clock.now()
    this.#asking([{ directory: parent.ino, name, isFree: false }], () =>
      replica.execute({
        ...{ type: 'create', parent: parent.id, name, ...node, mode, ...owner },
        time
      })
    )
    return tree.existingChild(parent, name, operation).record
  }

  /** Records a file that had no name until now: its making, its content and its attributes. */
  #nameNameless(file: InodeRecord, parent: InodeRecord, name: Name): void {
    const { tree, content, clock, replica } = this.#parts
    const { ino } = file
    const pieces = content.allPieces(ino)
    const time = clock.now()
    const { mode, uid, gid, size, atime, mtime } = tree.inode(ino, 'link')
    const node = { kind: 'file', mode, uid, gid, rdev: 0, target: NO_BYTES } as const
    this.#asking([{ directory: parent.ino, name, isFree: false }], () =>
      replica.execute({ type: 'create', parent: parent.id, name, ...node, time }, { ino })
    )
    if (size > 0) content.recordAll(ino, pieces, size, time)
    for (const { name: xattr, value } of replica.index.xattrsOf(ino).values())
      this.#inodes.change(ino, { type: 'setxattr', name: xattr, value }, time)
    this.#inodes.change(ino, { type: 'setattr', atime, mtime }, time)
  }

  /** What was written must be recorded while the file still has its name. */
  #beforeLosingName(record: InodeRecord): void {
    const { content } = this.#parts
    if (record.links.length > 1 || this.#open.isOpen(record.ino)) content.flush(record.ino)
    else content.discard(record.ino)
  }

  #lostName({ ino, kind }: InodeRecord): void {
    if (kind === 'directory') return
    const left = this.#parts.replica.index.findInode(ino)?.links[0]
    if (left !== undefined) this.#open.setThrough(ino, left.id)
  }

  #checkRename(rename: Rename, mode: RenameMode): void {
    const { tree } = this.#parts
    const { fromParent, toParent, moved, there } = rename
    if (mode === 'noreplace' && there) throw new FsError('EEXIST', 'rename')
    if (mode === 'exchange' && !there) throw new FsError('ENOENT', 'rename')
    if (tree.isWithin(toParent, moved)) throw new FsError('EINVAL', 'rename')
    if (there && tree.isWithin(fromParent, there)) {
      throw new FsError(mode === 'exchange' ? 'EINVAL' : 'ENOTEMPTY', 'rename')
    }
    if (there && there.ino !== moved.ino && mode !== 'exchange') checkReplaceable(moved, there)
  }
}

/** Who owns what is made in a directory. */
export function ownerIn(parent: InodeRecord, caller: Caller): { uid: number; gid: number } {
  return { uid: caller.uid, gid: (parent.mode & S_ISGID) === 0 ? caller.gid : parent.gid }
}

/** What a name stands for may be replaced by its like only, a directory only if it is empty. */
function checkReplaceable(moved: InodeRecord, there: InodeRecord): void {
  const [isMoved, isThere] = [moved.kind === 'directory', there.kind === 'directory']
  if (isMoved && !isThere) throw new FsError('ENOTDIR', 'rename')
  if (!isMoved && isThere) throw new FsError('EISDIR', 'rename')
  if (there.children > 0) throw new FsError('ENOTEMPTY', 'rename')
}
