/**
 * Applies one operation to the index. The same function serves an operation made here a moment
 * ago, one of another device and one read from a log at start, so that a rebuilt index is the one
 * that was lost.
 *
 * What an operation names counts only if its author saw it: of the rest nothing is changed.
 * An operation on a file whose author saw all that was done to it before is done at once, which
 * is all that ever happens on one device. Otherwise it is only added to the file's history, and
 * {@link TreeIndex.settle} derives the file anew.
 *
 * @module
 */
import { NO_BYTES } from '../crypto/slab.ts'
import type { Timestamp } from './clock.ts'
import { applyToFamily, applyToFile, fileChangedBy, isApplicable } from './apply-to-family.ts'
import { withNaming, withRemoval, type DirectoryRegister } from './directory-state.ts'
import { changeFile } from './file-changes.ts'
import { advanced, type Family } from './file-families.ts'
import type { InodeRecord } from './inode-record.ts'
import { isFileLink, isMkdir, isVersion } from './operation-history.ts'
import { sameId } from './operation-id.ts'
import type {
  CreateOperation,
  ExchangeOperation,
  InodeId,
  LinkId,
  LinkOperation,
  MkdirOperation,
  Name,
  Operation,
  OperationId,
  RenameOperation,
  SetattrOperation,
  UnlinkOperation,
  VersionId
} from './operation.ts'
import { newDirectory } from './directory-state.ts'
import { leaveFamily } from './settle-family.ts'
import { hangCreated, refreshDirectory } from './tree-links.ts'
import type { TreeIndex } from './tree-index.ts'

/** Circumstances of an application that the operation itself does not tell. */
export interface ApplyOptions {
  /** Gives a created inode this number: an open file without a name gets its first one. */
  readonly ino?: number
  /** Whether an inode without a name must stay because it is open. */
  readonly isOpen: (ino: number) => boolean
}

/** Applies an operation. @returns whether everything it names was known */
export function applyOperation(
  index: TreeIndex,
  id: OperationId,
  operation: Operation,
  options: ApplyOptions
): boolean {
  if ('inode' in operation && sameId(id, operation.inode)) {
    return changeNameless(index, id, operation)
  }
  index.beforeOperation(id)
  return new Application(index, id, options).apply(operation)
}

/** A change of a file without a name: it is not recorded and has the file's own identity. */
function changeNameless(index: TreeIndex, id: InodeId, operation: Operation): boolean {
  const ino = index.find(id)
  if (ino === undefined || !('base' in operation)) return false
  const record = index.record(ino)
  if (record.links.length > 0 || record.kind === 'directory') return false
  const own = record.family ? leaveFamily(index, record) : id
  changeFile(index, ino, { id: own, operation })
  return true
}

const NONE: readonly OperationId[] = []

/** What some links stand for. */
interface NamedLinks {
  /** Whether all of them are known. */
  readonly areKnown: boolean
  /** Whether any is. */
  readonly isAny: boolean
  /** Inode numbers of those that are of directories. */
  readonly directories: readonly number[]
  /** Numbers of the families of the others. */
  readonly families: readonly number[]
}

/** The attributes that a setattr or a touch sets of a directory. */
type RegisterValues = Partial<Pick<InodeRecord, DirectoryRegister>>

class Application {
  readonly #index: TreeIndex
  readonly #id: OperationId
  readonly #options: ApplyOptions
  #moves = 0

  constructor(index: TreeIndex, id: OperationId, options: ApplyOptions) {
    this.#index = index
    this.#id = id
    this.#options = options
  }

  apply(operation: Operation): boolean {
    switch (operation.type) {
      case 'create':
        return this.#create(operation)
      case 'mkdir':
        return this.#mkdir(operation)
      case 'link':
        return this.#link(operation)
      case 'unlink':
      case 'rmdir':
        return this.#unlink(operation)
      case 'rename':
        return this.#rename(operation)
      case 'exchange':
        return this.#exchange(operation)
      case 'statement':
      case 'envelope':
        this.#index.statements.add(this.#id, operation)
        return true
      default:
        return this.#change(operation)
    }
  }

  #create(operation: CreateOperation): boolean {
    const index = this.#index
    const parent = this.#directory(operation.parent)
    if (parent === undefined) return false
    // One number is taken either way, so that all later inodes have the same in a rebuilt index.
    const next = index.nextIno()
    const ino = this.#options.ino ?? next
    const { kind, mode, uid, gid, rdev, time, name } = operation
    const content = this.#options.ino === undefined ? undefined : index.inodes.get(ino)
    const id = this.#id
    // One literal: this is the hot path of unpacking an archive.
    const record: InodeRecord = {
      ino,
      id,
      kind,
      mode,
      uid,
      gid,
      rdev,
      size: content?.size ?? 0,
      allocated: content?.allocated ?? 0,
      atime: time,
      mtime: time,
      ctime: time,
      version: id,
      links: [{ id, parent, name }],
      children: 0,
      subdirectories: 0,
      xattrs: content?.xattrs ?? 0,
      target: operation.target.length === 0 ? NO_BYTES : operation.target.slice(),
      family: { number: ino, last: id, frontier: NONE }
    }
    index.inodes.put(ino, '', record)
    if (content) index.orphans.delete(ino)
    index.history.add({ id: this.#id, operation }, [{ family: ino, previous: undefined }])
    hangCreated(index, record)
    this.#touch(parent, time)
    return true
  }

  #mkdir(operation: MkdirOperation): boolean {
    const index = this.#index
    const parent = this.#directory(operation.parent)
    if (parent === undefined) return false
    const ino = index.nextIno()
    const { mode, uid, gid, time, name } = operation
    index.inodes.put(ino, '', {
      ...{ ino, id: this.#id, kind: 'directory', mode, uid, gid, rdev: 0, version: this.#id },
      ...{ size: 0, allocated: 0, target: NO_BYTES, links: [], xattrs: 0 },
      ...{ atime: time, mtime: time, ctime: time, children: 0, subdirectories: 0 },
      directory: newDirectory(this.#id, { parent, name, by: this.#id })
    })
    index.history.addDirectory(this.#id, ino)
    refreshDirectory(index, ino)
    this.#touch(parent, time)
    return true
  }

  #link(operation: LinkOperation): boolean {
    const { families } = this.#links([operation.through])
    const parent = this.#directory(operation.parent)
    if (families.length === 0 || parent === undefined) return false
    this.#changeFamilies(families, operation)
    this.#touch(parent, operation.time)
    return true
  }

  #unlink(operation: UnlinkOperation): boolean {
    const links = this.#links(operation.links)
    const parent = this.#directory(operation.parent)
    if (parent !== undefined && links.isAny) this.#touch(parent, operation.time)
    for (const ino of links.directories) this.#removeDirectory(ino, operation.time)
    this.#changeFamilies(links.families, operation)
    return links.areKnown
  }

  #rename(operation: RenameOperation): boolean {
    const { name, time } = operation
    const from = this.#directory(operation.from)
    const parent = this.#directory(operation.parent)
    if (from === undefined || parent === undefined) return false
    const [replaced, moved] = [this.#links(operation.replaced), this.#links(operation.links)]
    if (moved.isAny) this.#touch(from, time)
    if (moved.isAny || replaced.isAny) this.#touch(parent, time)
    for (const ino of replaced.directories) this.#removeDirectory(ino, time)
    for (const ino of moved.directories) this.#moveDirectory(ino, { parent, name, time })
    this.#changeFamilies([...replaced.families, ...moved.families], operation)
    return moved.areKnown
  }

  #exchange(operation: ExchangeOperation): boolean {
    const { first, second, time } = operation
    const [here, there] = [this.#directory(first.parent), this.#directory(second.parent)]
    const [links, others] = [this.#links(operation.links), this.#links(operation.others)]
    if (here === undefined || there === undefined) return false
    if (links.isAny) this.#touch(there, time)
    if (others.isAny) this.#touch(here, time)
    for (const ino of links.directories) {
      this.#moveDirectory(ino, { parent: there, name: second.name, time })
    }
    for (const ino of others.directories) {
      this.#moveDirectory(ino, { parent: here, name: first.name, time })
    }
    this.#changeFamilies([...links.families, ...others.families], operation)
    return links.areKnown && others.areKnown
  }

  #change(operation: Extract<Operation, { readonly base: VersionId }>): boolean {
    const directory = this.#directory(operation.inode)
    if (directory !== undefined) this.#setDirectory(directory, operation)
    const family = this.#familyOfVersion(operation.base)
    if (!family) return directory !== undefined
    const isWrite = operation.type === 'write' || operation.type === 'truncate'
    if (isWrite && !family.isRegular) return false
    if (operation.type === 'write') this.#index.addContentLogs(operation.pieces)
    this.#changeFamilies([family.number], operation)
    return true
  }

  // Files

  #changeFamilies(numbers: readonly number[], operation: Operation): void {
    const index = this.#index
    const families = [...new Set(numbers)].flatMap(number => index.families.get(number) ?? [])
    if (families.length === 0) return
    const steps = families.map(({ number, last }) => ({ family: number, previous: last }))
    const event = { id: this.#id, operation }
    index.history.add(event, steps)
    const change = { isOpen: this.#options.isOpen, isLocal: index.causality.isOpen(this.#id) }
    for (const family of families) {
      const isMarked = index.isMarked(family.number)
      if (!isMarked && this.#sawAll(family.frontier) && isApplicable(index, family, operation)) {
        applyToFamily(index, family, event, change)
        continue
      }
      const frontier = advanced(family.frontier, this.#id, index.causality)
      const next = { ...family, isSingle: false, frontier, last: this.#id }
      const file = isMarked ? undefined : fileChangedBy(index, family, operation)
      if (file && this.#sawAll(file.family?.frontier ?? family.frontier)) {
        applyToFile(index, next, file, event)
      } else {
        index.families.put(next)
        index.markFamily(family.number, event, change)
      }
    }
  }

  #sawAll(frontier: readonly OperationId[]): boolean {
    const { causality } = this.#index
    return frontier.length > 0 && frontier.every(other => causality.saw(this.#id, other))
  }

  #familyOfVersion(id: VersionId): Family | undefined {
    const { history, causality, families } = this.#index
    const row = history.find(id)
    const number = row?.steps[0]?.family
    if (!row || number === undefined || !isVersion(row)) return undefined
    return causality.saw(this.#id, id) ? families.get(number) : undefined
  }

  #links(ids: readonly LinkId[]): NamedLinks {
    const directories: number[] = []
    const families: number[] = []
    for (const id of ids) {
      const row = this.#isKnown(id) ? this.#index.history.find(id) : undefined
      const number = row?.steps[0]?.family
      if (number === undefined) continue
      if (row && isMkdir(row)) directories.push(number)
      else families.push(number)
    }
    const count = directories.length + families.length
    return { areKnown: count === ids.length, isAny: count > 0, directories, families }
  }

  /** Whether the author saw what can be a link. */
  #isKnown(id: LinkId): boolean {
    const row = this.#index.history.find(id)
    if (!row || (!isMkdir(row) && !isFileLink(row))) return false
    return this.#index.causality.saw(this.#id, id)
  }

  // Directories

  #directory(id: InodeId): number | undefined {
    const ino = this.#index.directoryOf(id)
    return ino !== undefined && this.#index.causality.saw(this.#id, id) ? ino : undefined
  }

  #removeDirectory(ino: number, time: Timestamp): void {
    const { inodes, causality } = this.#index
    this.#set(ino, { ctime: time })
    const record = this.#index.record(ino)
    if (!record.directory) return
    const directory = withRemoval(record.directory, this.#id, causality)
    inodes.put(ino, '', { ...record, directory })
    refreshDirectory(this.#index, ino)
  }

  #moveDirectory(
    ino: number,
    {
      parent,
      name,
      time
    }: { readonly parent: number; readonly name: Name; readonly time: Timestamp }
  ): void {
    const { inodes, causality, moves } = this.#index
    this.#set(ino, { ctime: time })
    const record = this.#index.record(ino)
    if (!record.directory) return
    inodes.put(ino, '', { ...record, directory: withNaming(record.directory, this.#id, causality) })
    refreshDirectory(this.#index, ino)
    moves.add({ ino, place: { parent, name, by: this.#id }, sequence: this.#moves++ })
  }

  #touch(ino: number, time: Timestamp): void {
    const { inodes, causality } = this.#index
    const record = this.#index.record(ino)
    const { directory } = record
    if (!directory) return
    const { setBy } = directory
    const isMtime = causality.compare(this.#id, setBy.mtime) >= 0
    const isCtime = causality.compare(this.#id, setBy.ctime) >= 0
    if (!isMtime && !isCtime) return
    inodes.put(ino, '', {
      ...record,
      mtime: isMtime ? time : record.mtime,
      ctime: isCtime ? time : record.ctime,
      directory: {
        ...directory,
        setBy: {
          ...setBy,
          mtime: isMtime ? this.#id : setBy.mtime,
          ctime: isCtime ? this.#id : setBy.ctime
        }
      }
    })
    this.#index.noteAttributes(ino)
  }

  #setDirectory(ino: number, operation: Extract<Operation, { readonly base: VersionId }>): void {
    const { time } = operation
    if (operation.type === 'write' || operation.type === 'truncate') return this.#touch(ino, time)
    if (operation.type === 'setattr') return this.#set(ino, settingsOf(operation))
    this.#set(ino, { ctime: time })
    const value = operation.type === 'setxattr' ? operation.value.slice() : undefined
    this.#index.setDirectoryXattr(ino, operation.name, { value, by: this.#id })
  }

  /** Sets those attributes of a directory that no later operation set. */
  #set(ino: number, values: RegisterValues): void {
    const { inodes, causality } = this.#index
    const record = this.#index.record(ino)
    const { directory } = record
    if (!directory) return
    const won = (Object.keys(values) as DirectoryRegister[]).filter(
      register => causality.compare(this.#id, directory.setBy[register]) >= 0
    )
    if (won.length === 0) return
    const setBy = { ...directory.setBy }
    for (const register of won) setBy[register] = this.#id
    const picked = Object.fromEntries(won.map(register => [register, values[register]]))
    inodes.put(ino, '', { ...record, ...picked, directory: { ...directory, setBy } })
    this.#index.noteAttributes(ino)
  }
}

function settingsOf({ mode, uid, gid, atime, mtime, time }: SetattrOperation): RegisterValues {
  return {
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(atime && { atime }),
    ...(mtime && { mtime }),
    ctime: time
  }
}
