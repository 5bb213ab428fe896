/**
 * A {@link FuseSession} without a kernel: a test says what the kernel asks, byte for byte, and
 * sees what is answered.
 *
 * @module
 */
import { FuseNotifier } from '../../src/fs/fuse/linux/fuse-notifier.ts'
import { REPLY_BUFFER_BYTES, REQUEST_BUFFER_BYTES } from '../../src/fs/fuse/linux/fuse-protocol.ts'
import { FuseReply } from '../../src/fs/fuse/linux/fuse-reply.ts'
import { FuseRequest } from '../../src/fs/fuse/linux/fuse-request.ts'
import { FuseSession } from '../../src/fs/fuse/linux/fuse-session.ts'
import type { Vfs } from '../../src/fs/vfs.ts'

const HEADER_BYTES = 40

/** A reply as the kernel gets it. */
export interface SeenReply {
  /** The request's number. */
  readonly unique: number
  /** 0, or the positive errno. */
  readonly errno: number
  /** What follows the header. */
  readonly body: Buffer
}

/** The fields of a request, in their order. */
export class Fields {
  readonly #parts: Buffer[] = []

  /** Numbers of 32 bits. */
  u32(...values: readonly number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4)
      part.writeUInt32LE(value >>> 0)
      this.#parts.push(part)
    }
    return this
  }

  /** Numbers of 64 bits. */
  u64(...values: readonly number[]): this {
    for (const value of values) this.u32(value, Math.floor(value / 2 ** 32))
    return this
  }

  /** A text with its NUL. */
  text(value: string): this {
    return this.bytes(Buffer.from(`${value}\0`, 'latin1'))
  }

  /** Bytes as they are. */
  bytes(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value))
    return this
  }

  /** All of them. */
  get all(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** A session and the kernel's side of it. */
export class FuseConversation {
  /** The session under test. */
  readonly session: FuseSession
  /** Faults that were reported. */
  readonly reports: string[] = []
  /** Notifications that were queued. */
  readonly notifications: Buffer[] = []
  /** What the kernel says to the next replies, instead of taking them: negative errnos. */
  readonly refusals: number[] = []
  /** Nodes that the kernel has unlocked. */
  readonly unlocked: number[] = []
  /** Whether the session has ended. */
  hasEnded = false
  readonly #request = new Uint8Array(REQUEST_BUFFER_BYTES)
  readonly #reply = new Uint8Array(REPLY_BUFFER_BYTES)
  readonly #replies: SeenReply[] = []
  readonly #unread: Uint8Array[] = []
  #unique = 0

  /** @param vfs - what it serves */
  constructor(vfs: Vfs) {
    const take = (bytes: Uint8Array): number => {
      const refusal = this.refusals.shift()
      if (refusal !== undefined) return refusal
      this.#replies.push(decode(Buffer.from(bytes)))
      return bytes.length
    }
    const queue = {
      notify: (message: Uint8Array): number => {
        this.notifications.push(Buffer.from(message))
        return 0
      },
      notifyStatus: () => [this.notifications.length, 0, 0, 0, 0]
    }
    this.session = new FuseSession({
      vfs,
      channel: {
        read: () => this.#read(),
        reply: length => take(this.#reply.subarray(0, length)),
        replyParts: (length, parts) =>
          take(Buffer.concat([this.#reply.subarray(0, length), ...parts]))
      },
      request: new FuseRequest(this.#request),
      reply: new FuseReply(this.#reply),
      notifier: new FuseNotifier(queue),
      onUnlocked: node => this.unlocked.push(node),
      report: (message, cause) =>
        this.reports.push(cause instanceof Error ? `${message}: ${cause.message}` : message),
      onEnd: () => (this.hasEnded = true)
    })
  }

  /** Sends a request. @returns its number */
  send(opcode: number, node: number, fields = new Fields()): number {
    const unique = (this.#unique += 2)
    const body = fields.all
    const header = new Fields()
      .u32(HEADER_BYTES + body.length, opcode)
      .u64(unique, node)
      .u32(1000, 1000, 1, 0)
    this.sendRaw(Buffer.concat([header.all, body]))
    return unique
  }

  /** Sends bytes, whatever they are. */
  sendRaw(message: Uint8Array): void {
    this.#unread.push(message)
    this.session.turn()
  }

  /** Sends a request and takes its reply. @throws {Error} when there is none in this tick */
  ask(opcode: number, node: number, fields = new Fields()): SeenReply {
    const reply = this.replyTo(this.send(opcode, node, fields))
    if (reply === undefined) throw new Error(`no reply to opcode ${opcode}`)
    return reply
  }

  /** Takes the reply to a request, if there is one. @throws {Error} when there are several */
  replyTo(unique: number): SeenReply | undefined {
    const found = this.#replies.filter(reply => reply.unique === unique)
    if (found.length > 1) throw new Error(`${found.length} replies to request ${unique}`)
    const [reply] = found
    if (reply !== undefined) this.#replies.splice(this.#replies.indexOf(reply), 1)
    return reply
  }

  /** Takes all replies that there are. */
  takeReplies(): SeenReply[] {
    return this.#replies.splice(0)
  }

  /** The kernel lets go of the mount. @param errno - what reading fails with */
  end(errno: number): void {
    this.#endErrno = errno
    this.session.turn()
  }

  #endErrno = 0

  #read(): number {
    const message = this.#unread.shift()
    if (message === undefined) return -this.#endErrno
    this.#request.set(message)
    return message.length
  }
}

function decode(reply: Buffer): SeenReply {
  const length = reply.readUInt32LE(0)
  if (length !== reply.length)
    throw new Error(`a reply of ${reply.length} bytes says that it has ${length}`)
  return {
    unique: reply.readUInt32LE(8) + reply.readUInt32LE(12) * 2 ** 32,
    errno: -reply.readInt32LE(4),
    body: reply.subarray(16)
  }
}
