/**
 * What the handlers of all requests share: what they work on, and how they answer.
 *
 * A handler decodes the request, asks the file system and encodes the reply, all in one tick
 * where the file system answers in it. The buffers belong to the request under way, so a handler
 * that has to wait returns a {@link Later}, whose reply is encoded when it is about to be sent.
 *
 * @module
 */
import type { HandleId, InodeNumber, MaybePromise, Vfs } from '../../vfs.ts'
import type { FuseNotifier } from './fuse-notifier.ts'
import type { FuseReply } from './fuse-reply.ts'
import type { FuseRequest } from './fuse-request.ts'

/** The answer of a request that gets no reply, such as FORGET. */
export const NO_REPLY = -1

/** What a handler returns: the length of the body it encoded, {@link NO_REPLY}, or later. */
export type Answer = number | Later

/** Answers one kind of request. Fails by throwing. */
export type Handler = (context: OperationContext) => Answer

/** An answer that has to wait. */
export interface Later {
  /**
   * The program gives up. Returns whether the request may be answered with EINTR now: only one
   * that waits for another device and has changed nothing. Absent for one that never does.
   */
  readonly interrupt?: () => boolean
  /** Calls one of the two when it is known; `encode` makes the body. */
  readonly settle: (done: (encode: () => number) => void, failed: (error: unknown) => void) => void
}

/** What a handler works on. */
export interface OperationContext {
  /** The file system. */
  readonly vfs: Vfs
  /** The request under way. */
  readonly request: FuseRequest
  /** The reply under way. */
  readonly reply: FuseReply
  /** Tells the kernel of changes. */
  readonly notifier: FuseNotifier
  /** What the reply under way hands to the kernel. */
  readonly grant: ReplyGrant
  /** What the kernel holds open. */
  readonly open: OpenHandles
}

/** The handles that the kernel has been given and has not released. */
export class OpenHandles {
  /** Of files. */
  readonly files = new Set<HandleId>()
  /** Of directories. */
  readonly directories = new Set<HandleId>()
}

/**
 * What the reply under way hands to the kernel: lookup counts and a handle. If the kernel no
 * longer wants the reply, it never learns of them, and they are taken back.
 */
export class ReplyGrant {
  readonly #remembered: InodeNumber[] = []
  #file: HandleId | undefined
  #directory: HandleId | undefined

  /** Counts one lookup of an inode that the reply mentions. */
  remember(vfs: Vfs, ino: InodeNumber): void {
    vfs.remember(ino)
    this.#remembered.push(ino)
  }

  /** The reply hands over an open file. */
  file(open: OpenHandles, handle: HandleId): void {
    open.files.add(handle)
    this.#file = handle
  }

  /** The reply hands over an open directory. */
  directory(open: OpenHandles, handle: HandleId): void {
    open.directories.add(handle)
    this.#directory = handle
  }

  /** The kernel has it: nothing is to be taken back. */
  clear(): void {
    if (this.#remembered.length > 0) this.#remembered.length = 0
    this.#file = undefined
    this.#directory = undefined
  }

  /** The kernel does not have it. @returns a promise when releasing the file has to wait */
  takeBack(vfs: Vfs, open: OpenHandles): MaybePromise<void> {
    const [file, directory] = [this.#file, this.#directory]
    const remembered = this.#remembered.slice()
    this.clear()
    for (const ino of remembered) vfs.forget(ino, 1)
    if (directory !== undefined) {
      open.directories.delete(directory)
      vfs.releasedir(directory)
    }
    if (file === undefined) return undefined
    open.files.delete(file)
    return vfs.release(file)
  }
}

/**
 * Lets a program give up one request. A class of its own, not an `AbortController`: hardly any
 * request needs the signal, and making one takes longer than answering.
 */
export class GiveUp implements Pick<Later, 'interrupt'> {
  #waiting: AbortController | undefined

  /** Gives the signal to a call that waits for what may be given up. */
  readonly signal = (): AbortSignal => {
    this.#waiting ??= new AbortController()
    return this.#waiting.signal
  }

  /** See {@link Later.interrupt}: what does not wait so is not given up. */
  readonly interrupt = (): boolean => {
    this.#waiting?.abort()
    return this.#waiting !== undefined
  }
}

/** Encodes at once when the value is here, later when it is promised. */
export function whenKnown<Value>(
  value: MaybePromise<Value>,
  encode: (value: Value) => number,
  options: Pick<Later, 'interrupt'> = {}
): Answer {
  if (!(value instanceof Promise)) return encode(value)
  return {
    ...options,
    settle: (done, failed) => {
      value.then(known => done(() => encode(known)), failed)
    }
  }
}

/** The body of a reply that only says that it went well. */
export function nothing(): number {
  return 0
}
