/**
 * Keeps what the kernel remembers of a mount true: makes notifications of what changed behind
 * its back, and loses none.
 *
 * - Names go before inodes. Telling of a name waits in the kernel until a listing or look-up of
 *   that directory that is under way has put down what it was answered; what is dropped after
 *   that cannot come back.
 * - Pages of a file that is being read are locked until we answer, which may take as long as
 *   another device needs. Its size and attributes are told at once, its pages when the reads
 *   have their answer: else one file that is not here would hold up the news of all others.
 * - Names of a directory that is being synced are locked likewise, which may take as long as other
 *   computers need: they are told when the fsync has its answer.
 * - When the queue of the notify thread is full, the rest waits here, each name and inode once,
 *   and is tried again every {@link RETRY_MS}. Of more than {@link NAMES_WAITING_MAX} names
 *   the kernel is told that any name may have changed; kernels that do not know this message are
 *   told each, however many there are. Inodes that wait are no more than the kernel knows.
 *
 * @module
 */
import type { InodeNumber, NameChange, VfsChanges } from '../../vfs.ts'
import type { FuseNotifier } from './fuse-notifier.ts'

/** How many names wait for room in the queue before they are told as one. */
export const NAMES_WAITING_MAX = 16_384
/** How soon a full queue is tried again, in milliseconds. */
export const RETRY_MS = 20

/** What it works with. */
export interface KernelCachesParts {
  /** Tells the kernel. */
  readonly notifier: FuseNotifier
  /** The size of a regular file as it is now, undefined for other inodes and for none. */
  readonly sizeOf: (ino: InodeNumber) => number | undefined
  /**
   * Whether the kernel keeps the pages of a file, or the names of a directory, locked until it has
   * an answer.
   */
  readonly isLocked: (ino: InodeNumber) => boolean
  /** Whether the kernel can be told that every name changed. */
  readonly hasEpochs: () => boolean
  /** Calls back later. */
  readonly after: (delayMs: number, callback: () => void) => { readonly cancel: () => void }
}

/** The strongest of several changes of one name counts. */
const STRENGTH: Readonly<Record<NameChange['kind'], number>> = {
  appeared: 0,
  moved: 1,
  replaced: 2
}

/** The kernel's caches of one mount. */
export class KernelCaches {
  readonly #parts: KernelCachesParts
  readonly #names = new Map<string, NameChange>()
  readonly #attributes = new Set<InodeNumber>()
  readonly #content = new Set<InodeNumber>()
  /** Files whose pages are stale and locked, directories with names that are. */
  readonly #held = new Set<InodeNumber>()
  #everyName = false
  #isClosed = false
  #timer: { readonly cancel: () => void } | undefined

  /** @param parts - borrowed */
  constructor(parts: KernelCachesParts) {
    this.#parts = parts
  }

  /** How many names and inodes wait to be told. */
  get waitingCount(): number {
    const inodes = this.#attributes.size + this.#content.size + this.#held.size
    return this.#names.size + inodes + (this.#everyName ? 1 : 0)
  }

  /** Tells the kernel what changed, now or as soon as there is room. The new state is visible. */
  changed(changes: VfsChanges): void {
    for (const change of changes.names) this.#addName(change)
    for (const ino of changes.attributes) this.#attributes.add(ino)
    for (const ino of changes.content) this.#content.add(ino)
    this.#send()
  }

  /** The kernel has unlocked a file's pages or a directory's names. */
  unlocked(ino: InodeNumber): void {
    if (!this.#held.delete(ino)) return
    this.#content.add(ino)
    this.#send()
  }

  /** The mount has ended: there is nobody to tell. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #addName(change: NameChange): void {
    if (this.#everyName) return
    // No name has a slash.
    const key = `${change.place.parent}/${change.place.name}`
    const waiting = this.#names.get(key)
    if (waiting !== undefined && STRENGTH[waiting.kind] >= STRENGTH[change.kind]) return
    this.#names.set(key, change)
  }

  #send(): void {
    if (this.#isClosed) return
    const isSent = this.#sendNames() && this.#sendInodes()
    // Of locked names, too, any number may wait; that any name changed is told without a lock.
    const isTooMuch = this.#names.size > NAMES_WAITING_MAX && this.#parts.hasEpochs()
    if (isTooMuch) {
      this.#names.clear()
      this.#everyName = true
    }
    if (isSent && !isTooMuch) return
    this.#timer ??= this.#parts.after(RETRY_MS, () => {
      this.#timer = undefined
      this.#send()
    })
  }

  /** @returns whether all are told that are not locked */
  #sendNames(): boolean {
    const { notifier, isLocked } = this.#parts
    if (this.#everyName && !notifier.everyNameChanged()) return false
    this.#everyName = false
    for (const [key, { kind, place }] of this.#names) {
      if (isLocked(place.parent)) {
        this.#held.add(place.parent)
        continue
      }
      const isSent =
        kind === 'replaced' ? notifier.nameReplaced(place) : notifier.nameChanged(place)
      if (!isSent) return false
      this.#names.delete(key)
    }
    return true
  }

  /** @returns whether all are told */
  #sendInodes(): boolean {
    for (const ino of this.#content) {
      if (!this.#sendContent(ino)) return false
      this.#content.delete(ino)
      this.#attributes.delete(ino)
    }
    for (const ino of this.#attributes) {
      if (!this.#parts.notifier.attributesChanged(ino)) return false
      this.#attributes.delete(ino)
    }
    return true
  }

  #sendContent(ino: InodeNumber): boolean {
    const { notifier, sizeOf, isLocked } = this.#parts
    const size = sizeOf(ino)
    if (size === undefined) return notifier.contentChanged(ino)
    if (!isLocked(ino)) return notifier.grew(ino, size)
    this.#held.add(ino)
    return notifier.grewUnread(ino, size)
  }
}
