/**
 * Hangs links into directories and takes them out: claims to names, the counts of directories
 * and which directories are there at all. A directory is there while a use keeps its name or
 * something is in it, so that nothing is ever without a way from the root.
 *
 * @module
 */
import type { Placement } from './directory-state.ts'
import type { DerivedLink } from './file-family.ts'
import type { InodeKind, InodeRecord, LinkRecord } from './inode-record.ts'
import { CLAIM_RANKS, type Claim } from './name-row.ts'
import { sameId } from './operation-id.ts'
import type { OperationId } from './operation.ts'
import type { TreeRows } from './tree-rows.ts'

/** A link of a file as it is to be. */
export interface FileLink extends LinkRecord {
  /** The operation that orders its claim. */
  readonly by: OperationId
  /** Whether its claim comes after those of every other file: nobody gave it the name. */
  readonly isBeside: boolean
}

/** Adds a link to a file. */
export function addFileLink(index: TreeRows, ino: number, link: FileLink): void {
  const record = index.record(ino)
  const { id, parent, name, isRevived, by, isBeside } = link
  const kept: LinkRecord = { id, parent, name, ...(isRevived && { isRevived }) }
  index.inodes.put(ino, '', { ...record, links: [...record.links, kept] })
  const rank = isBeside ? CLAIM_RANKS.branch : CLAIM_RANKS.file
  refreshIf(index, hang(index, kept, { ino, kind: record.kind, link: id, by, rank }))
}

/** Hangs the one link of a file that was just made into its directory. */
export function hangCreated(index: TreeRows, { ino, kind, links: [link] }: InodeRecord): void {
  if (link === undefined) throw new TypeError('a file that was just made has a link')
  const claim = { ino, kind, link: link.id, by: link.id, rank: CLAIM_RANKS.file }
  refreshIf(index, hang(index, link, claim))
}

/** Takes a link from a file. */
export function removeFileLink(index: TreeRows, ino: number, link: LinkRecord): void {
  const record = index.record(ino)
  const links = record.links.filter(other => !sameId(other.id, link.id))
  index.inodes.put(ino, '', { ...record, links })
  refreshIf(index, unhang(index, link, { ino, kind: record.kind }))
}

/** @returns a derived link by inode numbers. */
export function fileLinkOf(index: TreeRows, derived: DerivedLink): FileLink | undefined {
  const parent = index.directoryOf(derived.parent)
  if (parent === undefined) return undefined
  const { id, name, by, isBeside, isNamed } = derived
  return { id, parent, name, by, isBeside, ...(!isNamed && { isRevived: true }) }
}

/** Shows a directory at its place, or takes it away, as it lives; then those above it. */
export function refreshDirectory(index: TreeRows, ino: number): void {
  for (let at: number | undefined = ino; at !== undefined;) {
    const record = index.record(at)
    const { directory, children, links } = record
    const isShown = children > 0 || (directory?.namings.length ?? 0) > 0
    if (!directory?.place || isShown === links.length > 0) return
    at = isShown
      ? showDirectory(index, record, directory.place)
      : hideDirectory(index, record, links)
  }
}

/** Moves directories at once: none of them is anywhere while another is put. */
export function moveDirectories(index: TreeRows, places: ReadonlyMap<number, Placement>): void {
  for (const ino of places.keys()) {
    const record = index.record(ino)
    refreshIf(index, hideDirectory(index, record, record.links))
  }
  for (const [ino, place] of places) {
    const record = index.record(ino)
    const { directory } = record
    if (directory) index.inodes.put(ino, '', { ...record, directory: { ...directory, place } })
  }
  for (const ino of places.keys()) refreshDirectory(index, ino)
}

/** @returns the directory above it if that may have to be shown now */
function showDirectory(index: TreeRows, record: InodeRecord, place: Placement): number | undefined {
  const { ino, id, kind } = record
  const link = { id, parent: place.parent, name: place.name }
  index.inodes.put(ino, '', { ...record, links: [link] })
  const rank = sameId(place.by, id) ? CLAIM_RANKS.madeDirectory : CLAIM_RANKS.movedDirectory
  return hang(index, link, { ino, kind, link: id, by: place.by, rank })
}

/** @returns the directory above it if that may have to be hidden now */
function hideDirectory(
  index: TreeRows,
  record: InodeRecord,
  [link]: readonly LinkRecord[]
): number | undefined {
  if (!link) return undefined
  index.inodes.put(record.ino, '', { ...record, links: [] })
  return unhang(index, link, record)
}

function refreshIf(index: TreeRows, ino: number | undefined): void {
  if (ino !== undefined) refreshDirectory(index, ino)
}

function hang(index: TreeRows, { parent, name }: LinkRecord, claim: Claim): number | undefined {
  index.view.addClaim(parent, name, claim)
  return changeCounts(index, parent, claim.kind, 1)
}

function unhang(
  index: TreeRows,
  { id, parent, name }: LinkRecord,
  { ino, kind }: Pick<Claim, 'ino' | 'kind'>
): number | undefined {
  index.view.removeClaim(parent, name, { ino, link: id })
  return changeCounts(index, parent, kind, -1)
}

/** @returns the directory if it is only there for what is in it, which now begins or ends */
function changeCounts(
  index: TreeRows,
  ino: number,
  kind: InodeKind,
  by: 1 | -1
): number | undefined {
  const record = index.record(ino)
  const children = record.children + by
  const subdirectories = record.subdirectories + (kind === 'directory' ? by : 0)
  index.inodes.put(ino, '', { ...record, children, subdirectories })
  if (kind === 'directory') index.noteAttributes(ino)
  const isDead = record.directory?.namings.length === 0
  return isDead && Math.min(children, record.children) === 0 ? ino : undefined
}
