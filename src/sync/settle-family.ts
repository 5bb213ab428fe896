/**
 * Derives the files of a family anew from its history and brings the rows of its inodes in line.
 *
 * Inode numbers follow versions: an inode becomes the file that now has the version it had, so
 * that who has it open goes on with the bytes that he sees, even where a file that comes before
 * in order takes over its name. Content is only ever extended by the versions that came.
 *
 * @module
 */
import { advanceContent } from './file-changes.ts'
import {
  deriveFamily,
  type DerivedFile,
  type DerivedLink,
  type FamilyEvent
} from './file-family.ts'
import { advanced, type Family } from './file-families.ts'
import type { FamilyMember, InodeRecord } from './inode-record.ts'
import { sameId } from './operation-id.ts'
import type { InodeId, Name, OperationId } from './operation.ts'
import type { TreeRows } from './tree-rows.ts'
import { addFileLink, fileLinkOf, removeFileLink, type FileLink } from './tree-links.ts'
import { keyOf } from './version-tree.ts'

/** What is known of who changed a family. */
export interface FamilyChange {
  /** Whether an inode without a name must stay because it is open. */
  readonly isOpen: (ino: number) => boolean
  /** Whether an operation made here took part. */
  readonly isLocal: boolean
}

/** Brings the rows of a family in line with its history. */
export function settleFamily(index: TreeRows, family: Family, change: FamilyChange): void {
  const { number, last } = family
  const events = [...index.history.eventsOf(number, last)].reverse()
  const files = deriveFamily(events, index.causality)
  const inos = inodesOf(index, family, files)
  // Names are taken away before others get them: a row then never has more claims than needed.
  for (const [file, ino] of inos) dropLinks(index, ino, file)
  const kept: number[] = []
  const frontiers = files.length > 1 ? frontiersOf(index, events, files) : undefined
  for (const [file, ino] of inos) {
    const frontier = frontiers?.get(file) ?? family.frontier
    if (file.links.length > 0) setFile(index, file, { ino, family: { number, frontier } })
    else identify(index, ino, file)
    if (file.links.length > 0 || loseLastName(index, { ino, by: last, ...change })) kept.push(ino)
  }
  const [only, ...others] = files
  const isSingle =
    others.length === 0 && only !== undefined && kept.length === 1 && isPlain(only.links)
  index.families.put({ ...family, inos: kept, isSingle })
}

function isPlain(links: readonly DerivedLink[]): boolean {
  return links.length > 0 && links.every(link => link.isNamed && !link.isBeside)
}

/** The inode of each file that has a name or had one here. */
function inodesOf(
  index: TreeRows,
  family: Family,
  files: readonly DerivedFile[]
): Map<DerivedFile, number> {
  const holders = new Map<string, number>()
  for (const ino of family.inos) holders.set(keyOf(index.record(ino).version), ino)
  const inos = new Map<DerivedFile, number>()
  for (const file of files) {
    const held = file.versions.findLast(({ id }) => holders.has(keyOf(id)))
    const ino = held && holders.get(keyOf(held.id))
    if (ino !== undefined) inos.set(file, ino)
  }
  for (const file of files) {
    if (inos.has(file) || file.links.length === 0) continue
    const isFree = index.inodes.get(family.number) === undefined
    inos.set(file, isFree ? addInode(index, family.number, file) : addInode(index, undefined, file))
  }
  return inos
}

/** Adds an inode without content and names. @returns its number */
function addInode(index: TreeRows, given: number | undefined, file: DerivedFile): number {
  const ino = given ?? index.nextIno()
  const { kind, rdev, target, mode, uid, gid, atime, mtime, ctime, first } = file
  const [root] = file.lineage()
  const attributes = { ino, id: first, kind, rdev, mode, uid, gid, atime, mtime, ctime }
  index.inodes.put(ino, '', {
    ...attributes,
    version: root?.id ?? first,
    target: target.slice(),
    links: [],
    size: 0,
    allocated: 0,
    xattrs: 0,
    children: 0,
    subdirectories: 0
  })
  return ino
}

/** For each file the newest operations that can have to do with it. */
function frontiersOf(
  index: TreeRows,
  events: readonly FamilyEvent[],
  files: readonly DerivedFile[]
): ReadonlyMap<DerivedFile, readonly OperationId[]> {
  const holders = new Map<string, DerivedFile>()
  for (const file of files) for (const { id } of file.versions) holders.set(keyOf(id), file)
  const touching = new Map<DerivedFile, OperationId[]>(files.map(file => [file, []]))
  for (const { id, operation } of events) {
    // Only what names a version is about one file for sure.
    const base = 'base' in operation ? operation.base : undefined
    const holder = base && (holders.get(keyOf(id)) ?? holders.get(keyOf(base)))
    if (holder) touching.get(holder)?.push(id)
    else for (const ids of touching.values()) ids.push(id)
  }
  const frontierOf = (ids: readonly OperationId[]): readonly OperationId[] =>
    ids.reduce<readonly OperationId[]>((all, id) => advanced(all, id, index.causality), [])
  return new Map([...touching].map(([file, ids]) => [file, frontierOf(ids)]))
}

function setFile(
  index: TreeRows,
  file: DerivedFile,
  {
    ino,
    family
  }: { readonly ino: number; readonly family: Pick<FamilyMember, 'number' | 'frontier'> }
): void {
  const before = index.record(ino)
  const lineage = file.lineage()
  const at = lineage.findIndex(({ id }) => sameId(id, before.version))
  for (const event of lineage.slice(at + 1)) advanceContent(index, ino, event)
  const { mode, uid, gid, atime, mtime, ctime, first, tip } = file
  const member = { number: family.number, last: undefined, frontier: family.frontier }
  const renewed = { ...index.record(ino), id: first, version: tip, family: member }
  index.inodes.put(ino, '', { ...renewed, mode, uid, gid, atime, mtime, ctime })
  index.orphans.delete(ino)
  setXattrs(index, ino, file.xattrs)
  const { links } = index.record(ino)
  for (const link of wantedLinks(index, file)) {
    if (!links.some(other => isSameLink(other, link))) addFileLink(index, ino, link)
  }
  index.noteAttributes(ino)
}

/** A file without a name that is open is a branch as soon as another goes on with its identity. */
function identify(index: TreeRows, ino: number, { first }: DerivedFile): void {
  const record = index.record(ino)
  if (!sameId(record.id, first)) index.inodes.put(ino, '', { ...record, id: first })
}

function wantedLinks(index: TreeRows, file: DerivedFile): FileLink[] {
  return file.links.flatMap(link => fileLinkOf(index, link) ?? [])
}

/** Takes away the names that a file no longer has there. */
function dropLinks(index: TreeRows, ino: number, file: DerivedFile): void {
  const wanted = wantedLinks(index, file)
  for (const link of index.record(ino).links) {
    const isKept = wanted.some(
      other =>
        isSameLink(link, other) &&
        index.view.hasClaim(link.parent, link.name, { ...other, link: other.id })
    )
    if (!isKept) removeFileLink(index, ino, link)
  }
}

function isSameLink(
  left: InodeRecord['links'][number],
  right: InodeRecord['links'][number]
): boolean {
  return (
    left.parent === right.parent &&
    left.name === right.name &&
    left.isRevived === right.isRevived &&
    sameId(left.id, right.id)
  )
}

function setXattrs(index: TreeRows, ino: number, xattrs: ReadonlyMap<Name, Uint8Array>): void {
  if (xattrs.size === 0 && index.record(ino).xattrs === 0) return
  for (const name of index.xattrs.entries(ino).keys() as Iterable<Name>) {
    if (!xattrs.has(name)) index.xattrs.delete(ino, name)
  }
  for (const [name, value] of xattrs) {
    const before = index.xattrs.get(ino, name)?.value
    if (!before || !isSameBytes(before, value))
      index.xattrs.put(ino, name, { name, value: value.slice() })
  }
  const record = index.record(ino)
  if (record.xattrs !== xattrs.size) index.inodes.put(ino, '', { ...record, xattrs: xattrs.size })
}

function isSameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at])
}

/**
 * Lets go of an inode that has no name any more. One that is open stays: if its name was removed
 * elsewhere it stays in its family, because what is written to it brings it back; if it was
 * removed here, what is written to it is nobody else's business.
 *
 * @returns whether it stays in its family
 */
export function loseLastName(
  index: TreeRows,
  parts: FamilyChange & { readonly ino: number; readonly by: OperationId }
): boolean {
  const { ino, by, isOpen, isLocal } = parts
  const record = index.record(ino)
  const hadName = index.orphans.get(ino) === undefined
  index.orphans.put(ino, '', by)
  index.noteAttributes(ino)
  if (!isOpen(ino)) {
    index.removeInode(ino, index.causality.timeOf(by).sec, by)
    return false
  }
  if (!isLocal || !hadName) {
    const member = record.family && { ...record.family, last: undefined }
    index.inodes.put(ino, '', { ...record, ...(member && { family: member }) })
    return true
  }
  leaveFamily(index, record)
  return false
}

/** Makes an inode one that no operation records. @returns its identity from now on */
export function leaveFamily(index: TreeRows, record: InodeRecord): InodeId {
  index.families.dropInode(record)
  const { family: _family, ...rest } = index.record(record.ino)
  const id = index.namelessId(record.ino)
  index.inodes.put(record.ino, '', { ...rest, id, version: id })
  return id
}
