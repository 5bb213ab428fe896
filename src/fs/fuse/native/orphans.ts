/**
 * Files that were unlinked while open.
 *
 * libfuse does not unlink a file that is open: it renames it to `.fuse_hidden` and 16 digits in
 * the same directory, goes on using that path, and unlinks it at the last close. Such a name is
 * never made in the file system. The file is really unlinked, stays because it is remembered, and
 * the hidden name leads to it here alone: it is not listed, not recorded, and gone after a crash.
 *
 * When an open file is replaced by a rename, libfuse hides it first and renames then. If we
 * unlinked it at once, a rename that fails, on a full disk for example, would have lost it. So the
 * unlinking waits for the next request about names: if that is the rename, it replaces the file in
 * one step.
 *
 * @module
 */
import type { Name } from '../../../sync/operation.ts'
import type { InodeNumber, Place, Vfs } from '../../vfs.ts'
import { FsError } from '../../fs-error.ts'
import type { ReportFault } from '../errno.ts'

/** How long an unlinking waits for the next request, in milliseconds. */
export const UNLINK_DELAY_MS = 20

/** libfuse counts the names that it makes up; several requests may come out of order by this. */
export const HIDDEN_COUNT_SLACK = 64

const HIDDEN_NAME = /^\.fuse_hidden[0-9a-f]{8}([0-9a-f]{8})$/

interface Orphan {
  readonly ino: InodeNumber
  /** The directory that its hidden name is in, as libfuse sees it. */
  readonly parent: InodeNumber
}

/** A file that is about to lose its name. */
export interface Unlinking {
  /** Its path, as libfuse has it. */
  readonly path: string
  /** The name. */
  readonly place: Place
  /** The file. */
  readonly ino: InodeNumber
}

/** See the module. */
export class Orphans {
  readonly #vfs: Vfs
  readonly #report: ReportFault
  readonly #orphans = new Map<Name, Orphan>()
  #unlinking: Unlinking | undefined
  #timer: NodeJS.Timeout | undefined
  #lastCount = 0

  /** @param report - told when a file could not be unlinked any more */
  constructor(vfs: Vfs, report: ReportFault) {
    this.#vfs = vfs
    this.#report = report
  }

  /** The inode that a hidden name stands for. */
  inodeOf(name: Name): InodeNumber | undefined {
    return this.#orphans.get(name)?.ino
  }

  /** Whether a name is one that libfuse could make up now to hide a file. */
  isNextHiddenName(name: Name): boolean {
    const count = countOf(name)
    return count !== undefined && Math.abs(count - this.#lastCount) <= HIDDEN_COUNT_SLACK
  }

  /** Whether some hidden name is in this directory. */
  isIn(parent: InodeNumber): boolean {
    return [...this.#orphans.values()].some(orphan => orphan.parent === parent)
  }

  /** An open file loses its name, and is found by `hidden` from now on. */
  hide(unlinking: Unlinking, hidden: Name): void {
    const { ino, place } = unlinking
    this.settle()
    this.#vfs.remember(ino)
    this.#add(hidden, { ino, parent: place.parent })
    this.#unlinking = unlinking
    this.#timer = setTimeout(() => this.settle(), UNLINK_DELAY_MS)
  }

  /** libfuse hides a file anew that it has hidden already. */
  hideAgain(hidden: Name, anew: Name): void {
    const orphan = this.#orphans.get(hidden)
    if (orphan === undefined) return
    this.#orphans.delete(hidden)
    this.#add(anew, orphan)
  }

  /** Whether a rename to this path is the one that is waited for. */
  isReplacedBy(path: string): boolean {
    return this.#unlinking?.path === path
  }

  /** The rename that was waited for has come: nothing is left to unlink. */
  replaced(): void {
    this.#clear()
  }

  /** Unlinks what waits to be unlinked. To be called before anything looks at names. */
  settle(): void {
    const unlinking = this.#unlinking
    if (unlinking === undefined) return
    try {
      if (this.#vfs.lookup(unlinking.place).ino === unlinking.ino) this.#vfs.unlink(unlinking.place)
    } catch (error) {
      const isGone = error instanceof FsError && error.code === 'ENOENT'
      if (!isGone) this.#report('unlink: an open file keeps its name', error)
    }
    this.#clear()
  }

  /** The last descriptor of a hidden file was closed. */
  drop(hidden: Name): void {
    const orphan = this.#orphans.get(hidden)
    if (orphan === undefined) return
    this.#orphans.delete(hidden)
    this.#vfs.forget(orphan.ino, 1)
  }

  /** Nobody has the file open any more: drops what libfuse will not ask to. */
  dropAllOf(ino: InodeNumber, except: Name): void {
    for (const [name, orphan] of this.#orphans)
      if (orphan.ino === ino && name !== except) this.drop(name)
  }

  /** The mount has ended. */
  close(): void {
    this.settle()
    for (const name of [...this.#orphans.keys()]) this.drop(name)
  }

  #add(hidden: Name, orphan: Orphan): void {
    this.#lastCount = Math.max(this.#lastCount, countOf(hidden) ?? 0)
    this.#orphans.set(hidden, orphan)
  }

  #clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#unlinking = undefined
  }
}

/** The count in a name that libfuse may have made up. */
function countOf(name: Name): number | undefined {
  const count = HIDDEN_NAME.exec(name)?.[1]
  return count === undefined ? undefined : Number.parseInt(count, 16)
}
