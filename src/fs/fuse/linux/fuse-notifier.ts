/**
 * Tells the kernel that what it caches has changed behind its back.
 *
 * A notification may block inside the kernel for as long as a request about the same page or
 * directory is unanswered, so it is queued for a thread of its own and never waited for. Publish
 * the new state before notifying: the kernel asks at once.
 *
 * A notification about a node that the kernel does not know is harmless. It is repeated once,
 * 100 ms later, because the node may have been replied just now and not be installed yet.
 *
 * @module
 */
import type { Name } from '../../../sync/operation.ts'
import type { InodeNumber, Place } from '../../vfs.ts'
import { NOTIFY_EXPIRE_ONLY, NotifyCode, REPLY_HEADER_BYTES } from './fuse-protocol.ts'

/** Notifications that wait for the thread, at most. */
export const NOTIFICATIONS_MAX = 16_384
/** What they hold together, at most, in bytes. */
export const NOTIFICATIONS_BYTES_MAX = 8 * 1_048_576

const HIGH_WORD = 4_294_967_296

/** What a notification is handed to: the native device, or a test. */
export interface NotificationQueue {
  /** Queues a message. @returns 0, or a negative errno when the queue is full or closed */
  notify(message: Uint8Array, mayRetry: boolean): number
  /** Queued now, sent, not known to the kernel, failed, errno of the last failure. */
  notifyStatus(): readonly number[]
}

/** How the queue stands. */
export interface NotifierStatus {
  /** Waiting or under way. */
  readonly queued: number
  /** Taken by the kernel. */
  readonly sent: number
  /** About something the kernel does not cache. */
  readonly missed: number
  /** Refused by the kernel for another reason. */
  readonly failed: number
}

/**
 * What the kernel is told. Each method returns whether the message was queued: false means that
 * the queue is full, and the caller has to try again later or the cache stays stale.
 */
export class FuseNotifier {
  readonly #queue: NotificationQueue

  /** @param queue - takes the messages */
  constructor(queue: NotificationQueue) {
    this.#queue = queue
  }

  /** Attributes and, from `offset` on, `length` bytes of content have changed; 0 is all. */
  contentChanged(ino: InodeNumber, range = { offset: 0, length: 0 }): boolean {
    return this.#invalidate(ino, range.offset, range.length)
  }

  /** Attributes have changed, content has not. */
  attributesChanged(ino: InodeNumber): boolean {
    return this.#invalidate(ino, -1, 0)
  }

  /**
   * The file has grown to `size`, and content may have changed. The kernel must learn the size
   * first: invalidating alone leaves the old one to a local append, which then overwrites.
   */
  grew(ino: InodeNumber, size: number): boolean {
    return this.#storeSize(ino, size) && this.contentChanged(ino)
  }

  /** The same while the file's pages may not be dropped yet: size and attributes only. */
  grewUnread(ino: InodeNumber, size: number): boolean {
    return this.#storeSize(ino, size) && this.attributesChanged(ino)
  }

  /** What a name stands for may have changed; who uses it, say as working directory, goes on. */
  nameChanged(place: Place): boolean {
    return this.#invalidateName(place, NOTIFY_EXPIRE_ONLY)
  }

  /** A name was made that the kernel may remember as absent, or stands for another inode. */
  nameReplaced(place: Place): boolean {
    return this.#invalidateName(place, 0)
  }

  /** A name of `ino` was removed. */
  nameRemoved(place: Place, ino: InodeNumber): boolean {
    const message = new Message(NotifyCode.DELETE, 24 + place.name.length + 1)
    message.wide(0, place.parent)
    message.wide(8, ino)
    message.word(16, place.name.length)
    message.name(24, place.name)
    return this.#send(message)
  }

  /** Any name may stand for something else. Only newer kernels know this message. */
  everyNameChanged(): boolean {
    return this.#send(new Message(NotifyCode.INC_EPOCH, 0))
  }

  /** How the queue stands. */
  status(): NotifierStatus {
    const [queued = 0, sent = 0, missed = 0, failed = 0] = this.#queue.notifyStatus()
    return { queued, sent, missed, failed }
  }

  /** Stores no bytes at the end: a size that is not larger than the known one has no effect. */
  #storeSize(ino: InodeNumber, size: number): boolean {
    const message = new Message(NotifyCode.STORE, 24)
    message.wide(0, ino)
    message.wide(8, size)
    return this.#send(message)
  }

  #invalidate(ino: InodeNumber, offset: number, length: number): boolean {
    const message = new Message(NotifyCode.INVAL_INODE, 24)
    message.wide(0, ino)
    message.wide(8, offset)
    message.wide(16, length)
    return this.#send(message)
  }

  #invalidateName(place: Place, flags: number): boolean {
    const message = new Message(NotifyCode.INVAL_ENTRY, 16 + place.name.length + 1)
    message.wide(0, place.parent)
    message.word(8, place.name.length)
    message.word(12, flags)
    message.name(16, place.name)
    return this.#send(message)
  }

  #send(message: Message): boolean {
    return this.#queue.notify(message.bytes, true) >= 0
  }
}

/** A message of our own accord: it has the header of a reply, to request 0. */
class Message {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(code: number, bodyBytes: number) {
    this.bytes = new Uint8Array(REPLY_HEADER_BYTES + bodyBytes)
    this.#view = new DataView(this.bytes.buffer)
    this.#view.setUint32(0, this.bytes.length, true)
    this.#view.setInt32(4, code, true)
  }

  word(at: number, value: number): void {
    this.#view.setUint32(REPLY_HEADER_BYTES + at, value, true)
  }

  /** -1 becomes all ones, as the kernel has it. */
  wide(at: number, value: number): void {
    this.word(at, value >>> 0)
    this.word(at + 4, Math.floor(value / HIGH_WORD) >>> 0)
  }

  name(at: number, name: Name): void {
    for (let index = 0; index < name.length; index++)
      this.bytes[REPLY_HEADER_BYTES + at + index] = name.charCodeAt(index)
  }
}
