/**
 * One conversation with another device, on one connection: who it is, which logs there are, how
 * far each has merged. The logs themselves travel on channels of their own beside it.
 *
 * Step by step, so that a stranger learns nothing and a member no more than its due:
 * 1. Both prove that they have a drive key, by a hash over this very connection. Before the
 *    other's proof is verified nothing is said that depends on the drive.
 * 2. Both say who they are: the statements about members, their own attestation among them. The
 *    key of the connection must be that of a member that is not suspended. To a key that is not
 *    known as a member's nothing is said before it has said who it is: who was suspended and
 *    comes back under another key learns of nobody. Two members that have never heard of each
 *    other get nowhere until a third has told one of them.
 * 3. Only then are logs named, and their cores attached to the connection.
 *
 * Whatever breaks the rules ends the session and the connection with it.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import { asciiBytes, deriveKey } from '../crypto/derive.ts'
import type { KeyTable } from '../crypto/key-table.ts'
import { equalBytes, HASH_BYTES, keyedBlake2b, wipe } from '../crypto/sodium.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import type { Member, Members } from '../sync/members.ts'
import { GuardedMux, type Channel } from './guarded-mux.ts'
import type { PeerConnection } from './peer-network.ts'
import {
  decodeSessionMessage,
  encodeSessionMessage,
  MESSAGE_HEADS_MAX,
  splitItems,
  type HelloMessage,
  type ProveMessage,
  type SessionMessage
} from './session-message.ts'

/** How long a device may take to say who it is, in milliseconds. */
export const GREETING_MS_MAX = 10_000

/** How many messages a device may send in a second. */
export const MESSAGES_PER_SECOND_MAX = 200

/** How many bytes of messages a device may send in a second. */
export const MESSAGE_BYTES_PER_SECOND_MAX = 16 * 1024 * 1024

/** How many bytes a device may send, framing included, before it proved that it has a key. */
export const PROVING_BYTES_MAX = 4096

/** How many bytes a device may send, framing included, before it has said who it is. */
export const GREETING_BYTES_MAX = 16 * 1024 * 1024

/** How many statements a device may greet with. */
export const GREETING_STATEMENTS_MAX = 2048

const PROTOCOL = 'grove/1'
const PROOF_LABEL = asciiBytes('grove/1/peer/proof')

/**
 * Why a session ended:
 * - `stranger`: the other end did not prove in time that it has a drive key.
 * - `no-member`: it has one, and is no member, or is suspended.
 * - `malformed`: it sent what no device sends.
 * - `flood`: it sent more than it may.
 * - `gone`: the connection ended.
 */
export type SessionEnd = 'stranger' | 'no-member' | 'malformed' | 'flood' | 'gone'

/** What a session works with. */
export interface PeerSessionParts {
  /** The connection; owned by the session from now on. */
  readonly connection: PeerConnection
  /** The drive keys; borrowed. */
  readonly keys: KeyTable
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Who belongs to the drive; learns from what the other end says. */
  readonly members: Members
  /** Time. */
  readonly clock: Clock
  /** Told once when the other end proved to be a member. */
  readonly onOpen: (session: PeerSession) => void
  /** Told of announcements, which nobody verified yet. */
  readonly onLogs: (session: PeerSession, announcements: readonly Uint8Array[]) => void
  /** Told how far the other end has merged. */
  readonly onHeads: (session: PeerSession, heads: ReadonlyMap<LogKey, number>) => void
  /** Told once when the session is over; never before it was made. */
  readonly onEnd: (session: PeerSession, end: SessionEnd) => void
}

/** A conversation with one device. */
export class PeerSession {
  /** The connection it is on. */
  readonly connection: PeerConnection
  readonly #parts: PeerSessionParts
  readonly #channel: Channel | null
  readonly #rate: RateLimit
  #deadline: Timer | undefined
  #step: 'proving' | 'greeting' | 'open' | 'ended' = 'proving'
  #member: Member | undefined
  #hasSaidHello = false
  #statementsHeard = 0
  #bytesBeforeOpen = 0

  /** @param parts - borrowed, but for the connection */
  constructor(parts: PeerSessionParts) {
    this.#parts = parts
    this.connection = parts.connection
    this.#rate = new RateLimit(parts.clock)
    const mux = new GuardedMux(parts.connection.stream, {
      admits: bytes => this.#admits(bytes),
      onFault: () => this.#end('malformed')
    })
    this.#channel = mux.createChannel({
      protocol: PROTOCOL,
      messages: [{ onmessage: message => this.#receive(message) }],
      onclose: () => this.#end('gone')
    })
    this.#deadline = parts.clock.after(GREETING_MS_MAX, () => this.#end(this.#tooLate()))
    void parts.connection.closed.then(() => this.#end('gone'))
    this.#channel?.open()
    this.#send({ kind: 'prove', ...proofOf(parts, parts.connection.isInitiator) })
  }

  /** The device at the other end, once it is known. */
  get member(): Member | undefined {
    return this.#member
  }

  /** Whether the other end is a member and the session goes on. */
  get isOpen(): boolean {
    return this.#step === 'open'
  }

  /** Tells the other end of logs. */
  announce(announcements: readonly Uint8Array[]): void {
    if (!this.isOpen) return
    for (const group of splitItems(announcements))
      if (group.length > 0) this.#send({ kind: 'logs', announcements: group })
  }

  /** Tells the other end how far this device has merged. */
  sendHeads(heads: ReadonlyMap<LogKey, number>): void {
    if (!this.isOpen) return
    const rows = [...heads]
    for (let from = 0; from < rows.length; from += MESSAGE_HEADS_MAX)
      this.#send({ kind: 'heads', heads: new Map(rows.slice(from, from + MESSAGE_HEADS_MAX)) })
  }

  /** Ends the session if the other end is a member no more. */
  recheck(): void {
    if (this.isOpen && this.#knownMember() === undefined) this.#end('no-member')
  }

  /** Ends the session because of what the other end did. */
  refuse(end: SessionEnd): void {
    this.#end(end)
  }

  /** Ends the session and closes the connection. Idempotent. */
  async close(): Promise<void> {
    this.#end('gone')
    await this.connection.close()
  }

  /** Channels cost memory and answers: who is no member yet opens no more than the one. */
  #admits(bytes: number): boolean {
    if (this.isOpen) return true
    this.#bytesBeforeOpen += bytes
    const isProving = this.#step === 'proving'
    return this.#bytesBeforeOpen <= (isProving ? PROVING_BYTES_MAX : GREETING_BYTES_MAX)
  }

  #receive(bytes: Uint8Array): void {
    if (this.#step === 'ended') return
    if (!this.#rate.admits(bytes.length)) return this.#end('flood')
    try {
      this.#handle(decodeSessionMessage(bytes))
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
      this.#end('malformed')
    }
  }

  /** Each step takes its own messages and no others. */
  #handle(message: SessionMessage): void {
    if (this.#step === 'proving' && message.kind === 'prove') return this.#verifyProof(message)
    if (this.#step === 'greeting' && message.kind === 'hello') return this.#greet(message)
    if (this.#step !== 'open') return this.#end('malformed')
    if (message.kind === 'logs') return this.#parts.onLogs(this, message.announcements)
    if (message.kind === 'heads') return this.#parts.onHeads(this, message.heads)
    this.#end('malformed')
  }

  #verifyProof({ keyId, proof }: ProveMessage): void {
    const { keys, connection } = this.#parts
    if (!keys.has(keyId)) return this.#end('stranger')
    const expected = proofOf(this.#parts, !connection.isInitiator, keyId)
    if (!equalBytes(proof, expected.proof)) return this.#end('stranger')
    this.#step = 'greeting'
    if (this.#knownMember() !== undefined) this.#sayHello()
  }

  #sayHello(): void {
    if (this.#hasSaidHello) return
    this.#hasSaidHello = true
    const groups = splitItems(this.#parts.members.statements())
    groups.forEach((statements, index) =>
      this.#send({ kind: 'hello', isLast: index === groups.length - 1, statements })
    )
  }

  #greet({ isLast, statements }: HelloMessage): void {
    this.#statementsHeard += statements.length
    if (this.#statementsHeard > GREETING_STATEMENTS_MAX) return this.#end('flood')
    for (const statement of statements) this.#parts.members.addVouched(statement)
    if (!isLast) return
    this.#member = this.#knownMember()
    if (this.#member === undefined) return this.#end('no-member')
    this.#sayHello()
    this.#step = 'open'
    this.#deadline?.cancel()
    this.#parts.onOpen(this)
  }

  #knownMember(): Member | undefined {
    const member = this.#parts.members.byNetwork(this.connection.remotePublicKey)
    if (member === undefined || member.isSuspended) return undefined
    const isExpired =
      member.expiresMs !== undefined && member.expiresMs <= this.#parts.clock.now().sec * 1000
    return isExpired ? undefined : member
  }

  #send(message: SessionMessage): void {
    this.#channel?.messages[0]?.send(encodeSessionMessage(message))
  }

  #tooLate(): SessionEnd {
    return this.#step === 'proving' ? 'stranger' : 'no-member'
  }

  #end(end: SessionEnd): void {
    if (this.#step === 'ended') return
    this.#step = 'ended'
    this.#deadline?.cancel()
    void this.connection.close()
    this.#parts.onEnd(this, end)
  }
}

/** What proves to the other end of this connection, and on no other, that a drive key is here. */
function proofOf(
  { keys, drive, connection }: PeerSessionParts,
  isInitiator: boolean,
  keyId = keys.currentKeyId
): { readonly keyId: number; readonly proof: Uint8Array } {
  const key = deriveKey({ key: keys.get(keyId).key, purpose: 'peer/proof', context: drive })
  const direction = Uint8Array.of(isInitiator ? 1 : 0)
  const message = Buffer.concat([PROOF_LABEL, direction, connection.handshakeHash])
  const proof = keyedBlake2b({ key, message, bytes: HASH_BYTES })
  wipe(key)
  return { keyId, proof }
}

/** Counts messages and bytes by the second. */
class RateLimit {
  readonly #clock: Clock
  #second = 0
  #messages = 0
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Counts a message; false when it is one too many. */
  admits(bytes: number): boolean {
    const { sec } = this.#clock.now()
    if (sec !== this.#second) [this.#second, this.#messages, this.#bytes] = [sec, 0, 0]
    this.#messages++
    this.#bytes += bytes
    return this.#messages <= MESSAGES_PER_SECOND_MAX && this.#bytes <= MESSAGE_BYTES_PER_SECOND_MAX
  }
}
