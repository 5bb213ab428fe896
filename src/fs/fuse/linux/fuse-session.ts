/**
 * One mount's conversation with the kernel: takes requests from the channel, has them handled,
 * and sees to it that each is answered exactly once, whatever happens.
 *
 * - A request whose file system call answers at once is answered in the same tick.
 * - A handler that throws something unforeseen is answered with EIO and reported: a request
 *   without an answer leaves a program in a sleep that not even `kill -9` ends.
 * - A message that is malformed is answered with EINVAL, one that we do not know with ENOSYS.
 * - A reply that the kernel no longer wants hands nothing over: see {@link ReplyGrant}.
 * - INTERRUPT answers with EINTR what waits for another computer, or is a long look at the tree:
 *   a read, an fsync that is done here, GETXATTR. Nothing else is.
 *
 * @module
 */
import { constants } from 'node:os'
import { FsError } from '../../fs-error.ts'
import { errnoOf, type ReportFault } from '../errno.ts'
import { MountError } from '../mount.ts'
import type { InodeNumber, Vfs } from '../../vfs.ts'
import { DIRECTORY_OPERATIONS } from './directory-operations.ts'
import { FILE_OPERATIONS } from './file-operations.ts'
import { negotiate } from './fuse-negotiation.ts'
import type { FuseNotifier } from './fuse-notifier.ts'
import {
  NO_REPLY,
  OpenHandles,
  ReplyGrant,
  type Answer,
  type Handler,
  type Later,
  type OperationContext
} from './fuse-operation.ts'
import { Opcode, OPCODES_MAX } from './fuse-protocol.ts'
import type { FuseReply } from './fuse-reply.ts'
import type { FuseRequest } from './fuse-request.ts'
import { NODE_OPERATIONS } from './node-operations.ts'

const { errno } = constants

/** Requests that wait for a promise, at most; above that new ones that may wait fail. */
export const PENDING_MAX = 16_384

/** Where requests come from and replies go: the native device, or a test. */
export interface FuseChannel {
  /**
   * Reads a request into the request's buffer.
   *
   * @param maySpin - nothing else is under way: waiting for it a few microseconds is worth it
   * @returns its length, 0 when this turn of the event loop is over, or a negative errno
   */
  read(maySpin: boolean): number
  /** Sends the first `length` bytes of the reply's buffer. @returns a negative errno on failure */
  reply(length: number): number
  /** Sends them with `parts` behind. @returns a negative errno on failure */
  replyParts(length: number, parts: readonly Uint8Array[]): number
}

/** What a session is made of. */
export interface FuseSessionOptions {
  /** The file system it serves. */
  readonly vfs: Vfs
  /** Where requests come from. */
  readonly channel: FuseChannel
  /** Decodes from the buffer that the channel reads into. */
  readonly request: FuseRequest
  /** Encodes into the buffer that the channel replies from. */
  readonly reply: FuseReply
  /** Tells the kernel of changes. */
  readonly notifier: FuseNotifier
  /** Told when no request about a node waits any more for which the kernel locked it. */
  readonly onUnlocked: (node: InodeNumber) => void
  /** Told of faults. */
  readonly report: ReportFault
  /** Told once when the kernel has let go. */
  readonly onEnd: () => void
}

interface Pending {
  readonly interrupt: (() => boolean) | undefined
  /** The node that the kernel keeps locked until the answer: see {@link FuseSession.isLocked}. */
  readonly locked: InodeNumber | undefined
}

const OPCODE_NAMES: readonly string[] = Object.entries(Opcode).reduce<string[]>(
  (names, [name, opcode]) => {
    names[opcode] = name
    return names
  },
  Array.from({ length: OPCODES_MAX }, (_, opcode) => `OPCODE_${opcode}`)
)

/** The conversation. */
export class FuseSession {
  readonly #options: FuseSessionOptions
  readonly #context: OperationContext
  readonly #grant = new ReplyGrant()
  readonly #open = new OpenHandles()
  readonly #handlers: (Handler | undefined)[]
  /** By the request's number. */
  readonly #pending = new Map<number, Pending>()
  /** How many requests that keep a node locked wait. */
  readonly #locks = new Map<InodeNumber, number>()
  readonly #counts = new Float64Array(OPCODES_MAX)
  #minor = 0
  #onDrained: (() => void)[] = []
  #hasEnded = false
  #isReady: (error?: MountError) => void = () => undefined

  /** Resolves when the kernel's INIT was answered. @throws {MountError} the versions differ */
  readonly ready: Promise<void>

  /** @param options - what it is made of; nothing happens before the first `turn` */
  constructor(options: FuseSessionOptions) {
    const { vfs, request, reply, notifier } = options
    this.#options = options
    this.#context = { vfs, request, reply, notifier, grant: this.#grant, open: this.#open }
    this.ready = new Promise((resolve, reject) => {
      this.#isReady = error => (error === undefined ? resolve() : reject(error))
    })
    this.ready.catch(() => undefined)
    this.#handlers = Array.from<Handler | undefined>({ length: OPCODES_MAX })
    const all = [...NODE_OPERATIONS, ...FILE_OPERATIONS, ...DIRECTORY_OPERATIONS]
    for (const [opcode, handler] of all) this.#handlers[opcode] = handler
    this.#handlers[Opcode.INIT] = () => this.#init()
    this.#handlers[Opcode.INTERRUPT] = () => this.#interrupt()
    this.#handlers[Opcode.DESTROY] = () => 0
    this.#handlers[Opcode.NOTIFY_REPLY] = () => NO_REPLY
  }

  /** The minor version of the protocol that was agreed on; 0 before that. */
  get minor(): number {
    return this.#minor
  }

  /** How many requests wait for a promise. */
  get pendingCount(): number {
    return this.#pending.size
  }

  /**
   * Whether a READ of a file waits, some of whose pages the kernel keeps locked meanwhile, or an
   * FSYNCDIR of a directory, whose names it does: telling of those would wait for the answer.
   */
  isLocked(node: InodeNumber): boolean {
    return this.#locks.has(node)
  }

  /** How many requests of each kind there have been. */
  requestCounts(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const [opcode, count] of this.#counts.entries())
      if (count > 0) counts[OPCODE_NAMES[opcode] ?? opcode] = count
    return counts
  }

  /** Serves requests until the channel says that this turn of the event loop is over. */
  turn(): void {
    const { channel } = this.#options
    while (!this.#hasEnded) {
      const length = channel.read(this.#pending.size === 0)
      if (length > 0) this.serve(length)
      else if (length === 0) return
      else this.#end(-length)
    }
  }

  /** Serves the request of `length` bytes that is in the request's buffer. */
  serve(length: number): void {
    const { request, report } = this.#options
    if (!request.load(length)) {
      report('FUSE: a malformed request', undefined)
      if (request.unique !== 0) this.#fail(request.unique, errno.EINVAL)
      return
    }
    const { opcode, unique } = request
    const slot = opcode < OPCODES_MAX ? opcode : 0
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1
    const handler = this.#handlers[slot]
    if (handler === undefined) {
      this.#fail(unique, opcode === Opcode.IOCTL ? errno.ENOTTY : errno.ENOSYS)
      return
    }
    try {
      const answer =
        this.#pending.size < PENDING_MAX ? handler(this.#context) : this.#refuse(handler)
      if (typeof answer !== 'number') this.#wait(unique, opcode, answer)
      else if (answer !== NO_REPLY) this.#succeed(unique, answer)
    } catch (error) {
      this.#failWith(unique, opcode, error)
    }
  }

  /** Resolves when no request waits any more. */
  async drained(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>(resolve => this.#onDrained.push(resolve))
  }

  #init(): number {
    const { request, reply } = this.#options
    const agreed = negotiate(request.init())
    if (agreed === 'too old') {
      this.#isReady(new MountError('FAILED', 'this kernel is too old: Linux 4.20 is needed'))
      throw new FsError('EIO', 'init')
    }
    if (agreed === 'retry')
      return reply.init({ minor: 0, maxReadaheadBytes: 0, flags: 0, flags2: 0, maxBackground: 0 })
    this.#minor = agreed.minor
    const body = reply.init(agreed)
    // The folder answers once this reply is out, which is before any promise goes on.
    this.#isReady()
    return body
  }

  /** Too many wait: only what cannot wait is still served. */
  #refuse(handler: Handler): Answer {
    const isServed = ALWAYS_SERVED.has(this.#options.request.opcode)
    if (!isServed) throw new RangeError('too many requests wait')
    return handler(this.#context)
  }

  #wait(unique: number, opcode: number, later: Later): void {
    const isLocking = opcode === Opcode.READ || opcode === Opcode.FSYNCDIR
    const locked = isLocking ? this.#options.request.node : undefined
    this.#pending.set(unique, { interrupt: later.interrupt, locked })
    if (locked !== undefined) this.#locks.set(locked, (this.#locks.get(locked) ?? 0) + 1)
    later.settle(
      encode => {
        const waited = this.#settled(unique)
        if (waited === undefined) return
        try {
          this.#succeed(unique, encode())
        } catch (error) {
          this.#failWith(unique, opcode, error)
        }
        this.#answered(waited)
      },
      error => {
        const waited = this.#settled(unique)
        if (waited === undefined) return
        this.#failWith(unique, opcode, error)
        this.#answered(waited)
      }
    )
  }

  /** Takes a request off the table; undefined if it was interrupted or the mount has ended. */
  #settled(unique: number): Pending | undefined {
    const waited = this.#pending.get(unique)
    this.#pending.delete(unique)
    if (this.#pending.size === 0) for (const resolve of this.#onDrained.splice(0)) resolve()
    return waited
  }

  /** A request that had to wait has its answer: the kernel has let go of what it locked. */
  #answered({ locked }: Pending): void {
    if (locked === undefined) return
    const left = (this.#locks.get(locked) ?? 0) - 1
    if (left > 0) {
      this.#locks.set(locked, left)
      return
    }
    this.#locks.delete(locked)
    this.#options.onUnlocked(locked)
  }

  #interrupt(): number {
    const unique = this.#options.request.interrupt()
    const waited = this.#pending.get(unique)
    if (waited?.interrupt?.() === true) {
      this.#settled(unique)
      this.#fail(unique, errno.EINTR)
      this.#answered(waited)
    }
    return NO_REPLY
  }

  #succeed(unique: number, bodyBytes: number): void {
    const { channel, reply } = this.#options
    const length = reply.finish(unique, bodyBytes, 0)
    const parts = reply.takeParts()
    const sent = parts === undefined ? channel.reply(length) : channel.replyParts(length, parts)
    if (sent >= 0) this.#grant.clear()
    else this.#refused(unique, -sent)
  }

  #failWith(unique: number, opcode: number, error: unknown): void {
    const name = OPCODE_NAMES[opcode] ?? `OPCODE_${opcode}`
    this.#options.reply.takeParts()
    this.#takeBack()
    this.#fail(unique, errnoOf(error, name, this.#options.report))
  }

  #fail(unique: number, code: number): void {
    const { channel, reply } = this.#options
    channel.reply(reply.finish(unique, 0, code))
  }

  /** The kernel did not take a reply. ENOENT means that the program gave up waiting. */
  #refused(unique: number, code: number): void {
    this.#takeBack()
    if (code === errno.ENOENT || code === errno.ENODEV) return
    this.#options.report(`FUSE: the kernel refused a reply with errno ${code}`, undefined)
    this.#fail(unique, errno.EIO)
  }

  #takeBack(): void {
    const { vfs, report } = this.#options
    const failed = (error: unknown): void => report('FUSE: taking back a reply', error)
    try {
      const released = this.#grant.takeBack(vfs, this.#open)
      if (released instanceof Promise) released.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  /** ENODEV is the end of every mount. What the kernel held open is released in its stead. */
  #end(code: number): void {
    const { vfs, report, onEnd } = this.#options
    this.#hasEnded = true
    if (code !== errno.ENODEV) report(`FUSE: reading requests failed with errno ${code}`, undefined)
    this.#isReady(new MountError('FAILED', 'the kernel gave the mount up before it began'))
    for (const { interrupt } of this.#pending.values()) interrupt?.()
    this.#pending.clear()
    this.#locks.clear()
    for (const resolve of this.#onDrained.splice(0)) resolve()
    const release = async (): Promise<void> => {
      for (const handle of this.#open.directories) vfs.releasedir(handle)
      await Promise.all([...this.#open.files].map(handle => vfs.release(handle)))
    }
    release().catch((error: unknown) => report('FUSE: releasing at the end', error))
    onEnd()
  }
}

/** Requests that are served however many wait: they answer at once, or give something back. */
const ALWAYS_SERVED: ReadonlySet<number> = new Set([
  Opcode.LOOKUP,
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.GETATTR,
  Opcode.READLINK,
  Opcode.OPENDIR,
  Opcode.READDIR,
  Opcode.READDIRPLUS,
  Opcode.RELEASEDIR,
  Opcode.RELEASE,
  Opcode.STATFS,
  Opcode.INTERRUPT,
  Opcode.DESTROY
])
