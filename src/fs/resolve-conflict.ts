/**
 * Ends a conflict between a file and its conflict copies, by ordinary operations: what loses is
 * unlinked or replaced, never erased, so every version of it stays in the drive's history for as
 * long as history is kept.
 *
 * - `mine` is, of the files in conflict, the one whose latest version by this device is the
 *   newest; where this device wrote none of them, or only what both began with, it is the file
 *   that has the plain name. It gets or keeps the plain name, and the others are unlinked.
 * - `theirs` is the other one; where there are several, one of the copies has to be named.
 * - `both`: the file keeps its name and the copy gets an ordinary one, its conflict name without
 *   the word: `notes (laptop, 2026-11-21 09.30).txt`. It is then a file like any other.
 *
 * A conflict copy stands for itself and the file that has its name; that file stands for all its
 * copies. Directories are only ever kept both: merging two is left to who knows what is in them.
 *
 * @module
 */
import type { Name, VersionId } from '../sync/operation.ts'
import type { Replica } from '../sync/replica.ts'
import type { Conflict } from '../sync/names-view.ts'
import type { FileVersion } from '../sync/tree-index.ts'
import { absence, FsError } from './fs-error.ts'
import type { InodeNumber, Place, Vfs } from './vfs.ts'

/** What of a conflict is kept under the plain name. */
export type Keep = 'mine' | 'theirs' | 'both'

/** What a conflict name has and an ordinary one has not, as bytes. */
const CONFLICT_MARK = ' (conflict, '
const ORDINARY_MARK = ' ('
const RESOLVE = 'resolveConflict'

interface Side {
  readonly ino: number
  readonly name: Name
}

interface Sides {
  readonly directory: InodeNumber
  /** Has the name that all want. */
  readonly kept: Side
  /** At least one. */
  readonly copies: readonly Side[]
}

/**
 * Ends a conflict.
 *
 * @param vfs - the operations go through it
 * @param place - the conflict copy, or the file that it is a copy of
 * @returns where the files are that were in conflict and are still there
 * @throws {FsError} ENOENT when there is no such file, ENODATA when it is in no conflict, EISDIR
 *   for directories unless both are kept, EINVAL when `theirs` could be several, EROFS
 */
export function resolveConflict(
  vfs: Vfs,
  replica: Replica,
  place: Place,
  keep: Keep
): readonly Place[] {
  const sides = sidesOf(replica, place)
  return keep === 'both'
    ? keepBoth(vfs, replica, sides)
    : keepOne(vfs, replica, { sides, winner: winnerOf(replica, sides, keep) })
}

function sidesOf({ index }: Replica, { parent, name }: Place): Sides {
  const shown = index.lookup(parent, name)
  const ino = index.findInode(parent)?.ino
  if (shown === undefined || ino === undefined) throw absence(RESOLVE)
  const conflicts = [...index.conflicts()].filter(each => each.directory === ino)
  const asked = conflicts.find(each => each.name === name)
  const original = asked?.original ?? name
  const kept = index.lookup(ino, original)
  const copies = asked ? [asked] : conflicts.filter(each => each.original === name)
  if (kept === undefined || copies.length === 0) throw new FsError('ENODATA', RESOLVE)
  return { directory: ino as InodeNumber, kept, copies: copies.map(sideOf) }
}

function sideOf({ ino, name }: Conflict): Side {
  return { ino, name }
}

function keepBoth(
  vfs: Vfs,
  replica: Replica,
  { directory, kept, copies }: Sides
): readonly Place[] {
  const places = [{ parent: directory, name: kept.name }]
  for (const { ino } of copies) {
    const name = conflictNameOf(replica, directory, ino)
    // One that got the name when another copy left is in no conflict any more.
    if (name === undefined) continue
    const to = { parent: directory, name: freeName(replica, directory, ordinaryName(name)) }
    vfs.rename({ parent: directory, name }, to, 'noreplace')
    places.push(to)
  }
  return places
}

function keepOne(
  vfs: Vfs,
  replica: Replica,
  { sides, winner }: { readonly sides: Sides; readonly winner: Side }
): readonly Place[] {
  const { directory, kept, copies } = sides
  const place = { parent: directory, name: kept.name }
  if (winner !== kept) {
    vfs.rename({ parent: directory, name: winner.name }, place, 'replace')
  }
  for (const copy of copies) {
    const name = copy === winner ? undefined : conflictNameOf(replica, directory, copy.ino)
    if (name !== undefined) vfs.unlink({ parent: directory, name })
  }
  return [place]
}

function winnerOf(replica: Replica, sides: Sides, keep: 'mine' | 'theirs'): Side {
  const { index } = replica
  const all = [sides.kept, ...sides.copies] as const
  if (all.some(({ ino }) => index.inode(ino).kind === 'directory'))
    throw new FsError('EISDIR', RESOLVE)
  const mine = newestOwn(replica, all)
  if (keep === 'mine') return mine
  const [theirs, ...rest] = all.filter(side => side !== mine)
  if (theirs === undefined || rest.length > 0) throw new FsError('EINVAL', RESOLVE)
  return theirs
}

/** The side with the newest version by this device; the first of several with the same. */
function newestOwn(replica: Replica, sides: readonly [Side, ...Side[]]): Side {
  let [best] = sides
  let newest = ownVersionOf(replica, best.ino)
  for (const side of sides) {
    const version = ownVersionOf(replica, side.ino)
    if (version === undefined || (newest && !isLater(version, newest))) continue
    best = side
    newest = version
  }
  return best
}

function ownVersionOf(replica: Replica, ino: number): FileVersion | undefined {
  return replica.index.versions(ino).findLast(({ id }) => replica.isOwnLog(id.log))
}

function isLater(one: FileVersion, other: FileVersion): boolean {
  if (one.time.sec !== other.time.sec) return one.time.sec > other.time.sec
  if (one.time.nsec !== other.time.nsec) return one.time.nsec > other.time.nsec
  return isLaterInLog(one.id, other.id)
}

function isLaterInLog(one: VersionId, other: VersionId): boolean {
  if (one.log !== other.log) return false
  return one.index === other.index ? one.number > other.number : one.index > other.index
}

/** The conflict name that an inode has in a directory now: others change when one goes. */
function conflictNameOf({ index }: Replica, directory: number, ino: number): Name | undefined {
  for (const conflict of index.conflicts())
    if (conflict.ino === ino && conflict.directory === directory) return conflict.name
  return undefined
}

function ordinaryName(name: Name): Name {
  const at = name.lastIndexOf(CONFLICT_MARK)
  return (name.slice(0, at) + ORDINARY_MARK + name.slice(at + CONFLICT_MARK.length)) as Name
}

function freeName({ index }: Replica, directory: number, name: Name): Name {
  const end = name.indexOf(')', name.lastIndexOf(ORDINARY_MARK)) + 1
  for (let attempt = 1; ; attempt++) {
    const count = attempt === 1 ? '' : ` ${attempt}`
    const wanted = (name.slice(0, end) + count + name.slice(end)) as Name
    if (index.lookup(directory, wanted) === undefined) return wanted
  }
}
