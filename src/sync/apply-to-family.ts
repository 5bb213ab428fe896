/**
 * Applies to a family at once what someone did who had seen all of it: the outcome is what
 * deriving the family anew would give, without reading its history.
 *
 * @module
 */
import { changeFile, type FileChange } from './file-changes.ts'
import type { Family } from './file-families.ts'
import type { FamilyEvent } from './file-family.ts'
import type { InodeRecord, LinkRecord } from './inode-record.ts'
import { sameId } from './operation-id.ts'
import { isEdit } from './operation-history.ts'
import type { LinkId, NamePlace, Operation } from './operation.ts'
import { loseLastName, type FamilyChange } from './settle-family.ts'
import type { TreeIndex } from './tree-index.ts'
import { addFileLink, removeFileLink } from './tree-links.ts'

/** Whether an operation can be applied at once, given that its author saw the whole family. */
export function isApplicable(index: TreeIndex, family: Family, operation: Operation): boolean {
  if ('base' in operation) return holderOf(index, family, operation) !== undefined
  const record = singleOf(index, family)
  if (!record) return false
  const isOwn = (id: LinkId): boolean => record.links.some(link => sameId(link.id, id))
  switch (operation.type) {
    case 'link':
      return isOwn(operation.through)
    case 'unlink':
    case 'rmdir':
      return areSimple(index, family, operation.links, isOwn)
    case 'rename':
      return areSimple(index, family, [...operation.replaced, ...operation.links], isOwn)
    case 'exchange':
      return areSimple(index, family, [...operation.links, ...operation.others], isOwn)
    default:
      return false
  }
}

/** The one file of a family that is no more than that. */
function singleOf(index: TreeIndex, family: Family): InodeRecord | undefined {
  const [ino] = family.inos
  return family.isSingle && ino !== undefined ? index.record(ino) : undefined
}

/** The file whose newest version an operation is based on, if that is all that it changes. */
function holderOf(
  index: TreeIndex,
  family: Family,
  operation: FileChange
): InodeRecord | undefined {
  const isWrite = operation.type === 'write' || operation.type === 'truncate'
  const single = singleOf(index, family)
  if (single && !isWrite) return single
  const holder = family.inos
    .map(ino => index.record(ino))
    .find(({ version }) => sameId(version, operation.base))
  if (!holder || holder.links.length === 0) return undefined
  return !isWrite || staysShown(index, holder, operation.through) ? holder : undefined
}

/**
 * Whether a write leaves a file its names. One that is there only because it was written to is
 * shown at the name that it was last written through, a branch at its own.
 */
function staysShown(index: TreeIndex, { links }: InodeRecord, through: LinkId): boolean {
  const [link] = links
  if (!link || !links.some(each => each.isRevived)) return true
  const row = index.history.find(link.id)
  return sameId(link.id, through) || (row !== undefined && isEdit(row))
}

/** Whether those of some links that are of a family are shown names of it, each named once. */
function areSimple(
  index: TreeIndex,
  family: Family,
  ids: readonly LinkId[],
  isOwn: (id: LinkId) => boolean
): boolean {
  const ofFamily = ids.filter(id => index.history.find(id)?.steps[0]?.family === family.number)
  return ofFamily.every(
    (id, at) => isOwn(id) && !ofFamily.some((other, before) => before < at && sameId(other, id))
  )
}

/** Applies an operation for which {@link isApplicable} holds. */
export function applyToFamily(
  index: TreeIndex,
  family: Family,
  event: FamilyEvent,
  change: FamilyChange
): void {
  const { id, operation } = event
  const record = 'base' in operation ? holderOf(index, family, operation) : singleOf(index, family)
  if (!record) return
  if ('base' in operation && !record.family?.last) {
    return applyToFile(index, { ...family, frontier: [id], last: id }, record, event)
  }
  if ('base' in operation) changeFile(index, record.ino, { id, operation })
  else changeNames(index, record, event)
  index.noteAttributes(record.ino)
  const after = index.record(record.ino)
  const next = { ...family, frontier: [id], last: id }
  if (after.links.length > 0) return keep(index, next, after)
  const stays = loseLastName(index, { ...change, ino: record.ino, by: id })
  index.families.put({ ...next, inos: stays ? [record.ino] : [], isSingle: false })
}

/**
 * The file that an operation changes and nothing else, if its author saw all that can have to do
 * with that file, whatever it had not seen of others of the family.
 */
export function fileChangedBy(
  index: TreeIndex,
  family: Family,
  operation: Operation
): InodeRecord | undefined {
  if (!('base' in operation) || family.isSingle) return undefined
  return holderOf(index, family, operation)
}

/** Changes one file of a family. @param next - the family afterwards */
export function applyToFile(
  index: TreeIndex,
  next: Family,
  { ino }: InodeRecord,
  { id, operation }: FamilyEvent
): void {
  if (!('base' in operation)) return
  changeFile(index, ino, { id, operation })
  const family = { number: next.number, last: undefined, frontier: [id] }
  index.inodes.put(ino, '', { ...index.record(ino), family })
  index.families.put(next)
  index.noteAttributes(ino)
}

/** Remembers how far a family has come; of the common kind without reading its row. */
function keep(index: TreeIndex, family: Family, record: InodeRecord): void {
  if (!record.family?.last) return index.families.put(family)
  const { number, last } = family
  index.inodes.put(record.ino, '', { ...record, family: { number, last, frontier: [] } })
}

function changeNames(index: TreeIndex, record: InodeRecord, { id, operation }: FamilyEvent): void {
  if (!('time' in operation)) return
  const own = (ids: readonly LinkId[]): LinkRecord[] =>
    ids.flatMap(each => record.links.find(link => sameId(link.id, each)) ?? [])
  const move = (ids: readonly LinkId[], { parent, name }: NamePlace): void => {
    const directory = index.directoryOf(parent)
    if (directory === undefined) return
    for (const link of own(ids)) {
      removeFileLink(index, record.ino, link)
      const to = { id: link.id, parent: directory, name, by: id, isBeside: false }
      addFileLink(index, record.ino, to)
    }
  }
  switch (operation.type) {
    case 'link': {
      const parent = index.directoryOf(operation.parent)
      const { name } = operation
      if (parent !== undefined)
        addFileLink(index, record.ino, { id, parent, name, by: id, isBeside: false })
      break
    }
    case 'unlink':
    case 'rmdir':
      for (const link of own(operation.links)) removeFileLink(index, record.ino, link)
      break
    case 'rename':
      for (const link of own(operation.replaced)) removeFileLink(index, record.ino, link)
      move(operation.links, operation)
      break
    case 'exchange':
      move(operation.links, operation.second)
      move(operation.others, operation.first)
      break
    default:
  }
  index.inodes.put(record.ino, '', { ...index.record(record.ino), ctime: operation.time })
}
