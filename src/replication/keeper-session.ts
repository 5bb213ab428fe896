/**
 * One connection to a keeper: who calls, and what they may ask.
 *
 * The first thing that a stranger may say is who they are. Everything else is refused with the
 * one answer that every stranger gets, and the connection is closed after it: they learn neither
 * whether the person is known nor why they are not let in. A member whose requests come too fast
 * waits; one who sends more than waits at a time, or what no device sends, is cut off.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import { CryptoError } from '../crypto/crypto-error.ts'
import type { Clock, Timer } from '../sync/clock.ts'
import type { Member } from '../sync/members.ts'
import {
  decodeRequest,
  encodeAnswer,
  encodeRefusal,
  type CustodyAnswer,
  type CustodyMethod
} from './custody-message.ts'
import { CustodyRpc } from './custody-rpc.ts'
import { answerMember, type KeeperCaller } from './keeper-methods.ts'
import type { KeeperPerson } from './keeper-person.ts'
import type { PeerConnection } from './peer-network.ts'

/** How long a device may take to say who it is, in milliseconds. */
export const HELLO_MS_MAX = 10_000

/** In how many requests it may say so, for all of its statements. */
export const HELLO_PARTS_MAX = 64

/** How many statements it may bring; each of them is verified. */
export const HELLO_STATEMENTS_MAX = 2048

/** How many requests of a device are answered in a second; more of them wait. */
export const CALLS_PER_SECOND_MAX = 500

/** How many bytes of requests of a device are taken in a second; more of them wait. */
export const CALL_BYTES_PER_SECOND_MAX = 8 * 1024 * 1024

/** How long a refused connection stays open so that the refusal arrives, in milliseconds. */
export const REFUSAL_LINGER_MS = 250

/**
 * Why a session ended:
 * - `refused`: a stranger, or a device that is no member any more.
 * - `malformed`: it sent what no device sends, or too much at a time.
 * - `gone`: the connection ended.
 */
export type KeeperSessionEnd = 'refused' | 'malformed' | 'gone'

/** Who calls, as they say: all of it from a stranger. */
export interface Hello {
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes; undefined for whichever the keeper knows. */
  readonly drive: Uint8Array | undefined
  /** The secret of an invitation. */
  readonly secret: Uint8Array | undefined
  /** Member statements. */
  readonly statements: readonly Uint8Array[]
  /** The network key that they proved to have, 32 bytes. */
  readonly network: Uint8Array
}

/** Somebody who was let in. */
export interface Admitted {
  /** What is kept for the person. */
  readonly person: KeeperPerson
  /** The device. */
  readonly member: Member
}

/** What a session works with. */
export interface KeeperSessionParts {
  /** The connection, of which a `GuardedMux` was made already. */
  readonly connection: PeerConnection
  /** Time. */
  readonly clock: Clock
  /** Who it is, when that is known already; else it has to be said. */
  readonly admitted?: Admitted
  /** Whether a person might be let in at all; asked before their statements are looked at. */
  readonly mayGreet?: (hello: Hello) => boolean
  /** Lets somebody in. @returns undefined for strangers */
  readonly greet?: (hello: Hello) => Promise<Admitted | undefined>
  /** What the keeper says of itself; see `keeper-statement.ts`. */
  readonly introduce?: (admitted: Admitted) => Uint8Array
  /** Told once when a device was let in, before the answer is sent. */
  readonly onOpen?: (session: KeeperSession, admitted: Admitted) => void
  /** Told of a record of the hash table of the person. */
  readonly onLocator?: (admitted: Admitted, record: Uint8Array) => void
  /** Told once when the session is over; the connection is closed unless it is `gone`. */
  readonly onEnd: (session: KeeperSession, end: KeeperSessionEnd) => void
  /** Told what went wrong with this computer, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}

/** See the module. */
export class KeeperSession {
  /** The connection it is on. */
  readonly connection: PeerConnection
  /** What the channel belongs to; whoever asks back over it uses it too. */
  readonly rpc: CustodyRpc
  readonly #parts: KeeperSessionParts
  readonly #abort = new AbortController()
  readonly #pace: CallPace
  #step: 'greeting' | 'open' | 'refused' | 'ended' = 'greeting'
  #caller: KeeperCaller | undefined
  #hello: Hello | undefined
  #helloParts = 0
  #timer: Timer | undefined

  /**
   * @param parts - borrowed, but for the connection
   * @throws {ReplicationError} `CLOSED`
   */
  constructor(parts: KeeperSessionParts) {
    this.#parts = parts
    this.connection = parts.connection
    this.#pace = new CallPace(parts.clock)
    // One for each request under way; those are bounded.
    setMaxListeners(0, this.#abort.signal)
    this.rpc = CustodyRpc.open({
      stream: parts.connection.stream,
      answer: (method, bytes) => this.#answer(method, bytes),
      onFault: () => this.end('malformed'),
      onClose: () => this.end('gone')
    })
    void parts.connection.closed.then(() => this.end('gone'))
    if (parts.admitted !== undefined) this.#open(parts.admitted)
    else this.#timer = parts.clock.after(HELLO_MS_MAX, () => this.end('refused'))
  }

  /** Whom it is with, once that is known. */
  get admitted(): Admitted | undefined {
    return this.#caller
  }

  /** Ends the session; the connection too unless it was `gone`. Idempotent. */
  end(end: KeeperSessionEnd): void {
    if (this.#step === 'ended') return
    this.#step = 'ended'
    this.#timer?.cancel()
    this.#pace.close()
    this.#abort.abort()
    this.rpc.close()
    if (end !== 'gone') void this.connection.close()
    this.#parts.onEnd(this, end)
  }

  /** Never rejects, whatever it is given. */
  async #answer(method: CustodyMethod, bytes: Uint8Array): Promise<Uint8Array> {
    try {
      if (this.#step === 'greeting') return await this.#greet(method, bytes)
      if (this.#step !== 'open' || this.#caller === undefined) this.end('refused')
      if (this.#caller === undefined || method === 'hello') return this.#refuse()
      return await this.#serve(this.#caller, method, bytes)
    } catch (error) {
      const isTheirs = error instanceof CryptoError
      if (!isTheirs) this.#parts.report('a request failed', error)
      this.end(isTheirs ? 'malformed' : 'refused')
      return encodeRefusal('REFUSED', REFUSED_TEXT)
    }
  }

  async #serve(
    caller: KeeperCaller,
    method: Exclude<CustodyMethod, 'hello'>,
    bytes: Uint8Array
  ): Promise<Uint8Array> {
    await this.#pace.admit(bytes.length)
    caller.person.touch()
    const outcome = await answerMember(caller, method, bytes)
    if (outcome.failure !== undefined && this.#step === 'open')
      this.#parts.report(`a request failed: ${method}`, outcome.failure)
    await this.rpc.whenDrained()
    return outcome.bytes
  }

  async #greet(method: CustodyMethod, bytes: Uint8Array): Promise<Uint8Array> {
    if (method !== 'hello' || ++this.#helloParts > HELLO_PARTS_MAX) return this.#refuse()
    const { isLast, ...part } = decodeRequest('hello', bytes)
    const statements = [...(this.#hello?.statements ?? []), ...part.statements]
    if (statements.length > HELLO_STATEMENTS_MAX) return this.#refuse()
    const hello: Hello = { ...part, statements, network: this.connection.remotePublicKey }
    this.#hello = hello
    if (this.#parts.mayGreet?.(hello) !== true) return this.#refuse()
    if (!isLast) return encodeAnswer('hello', undefined)
    // One greeting at a time: what comes meanwhile is from somebody who was not let in.
    this.#step = 'refused'
    const admitted = await this.#parts.greet?.(hello)
    if (this.#isEnded()) return encodeRefusal('REFUSED', REFUSED_TEXT)
    if (admitted === undefined) return this.#refuse()
    this.#open(admitted)
    return encodeAnswer('hello', this.#introduction(admitted))
  }

  #isEnded(): boolean {
    return this.#step === 'ended'
  }

  #introduction(admitted: Admitted): CustodyAnswer<'hello'> {
    const keeper = this.#parts.introduce?.(admitted)
    return keeper === undefined ? undefined : { keeper, drive: admitted.person.drive }
  }

  #open(admitted: Admitted): void {
    this.#timer?.cancel()
    this.#hello = undefined
    this.#step = 'open'
    const { clock } = this.#parts
    const { signal } = this.#abort
    this.#caller = {
      ...admitted,
      signal,
      within: (ms, work) => withinTime({ clock, signal, ms }, work),
      onLocator: record => this.#parts.onLocator?.(admitted, record)
    }
    admitted.person.touch()
    this.#parts.onOpen?.(this, admitted)
  }

  /** The connection ends a little later, so that the answer arrives. */
  #refuse(): Uint8Array {
    if (this.#isEnded()) return encodeRefusal('REFUSED', REFUSED_TEXT)
    this.#step = 'refused'
    this.#hello = undefined
    this.#timer?.cancel()
    this.#timer = this.#parts.clock.after(REFUSAL_LINGER_MS, () => this.end('refused'))
    return encodeRefusal('REFUSED', REFUSED_TEXT)
  }
}

/** Does something that is given up after so long, or when the signal says so. */
async function withinTime<T>(
  {
    clock,
    signal,
    ms
  }: { readonly clock: Clock; readonly signal: AbortSignal; readonly ms: number },
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const late = new AbortController()
  const giveUp = (): void => late.abort()
  const timer = clock.after(ms, giveUp)
  signal.addEventListener('abort', giveUp)
  if (signal.aborted) giveUp()
  try {
    return await work(late.signal)
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', giveUp)
  }
}

/** All that strangers learn. */
const REFUSED_TEXT = 'refused'

/** Makes those wait who ask too fast. */
class CallPace {
  readonly #clock: Clock
  readonly #waiting: (() => void)[] = []
  #timer: Timer | undefined
  #calls = 0
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when a request of so many bytes may be answered. */
  async admit(bytes: number): Promise<void> {
    while (this.#isUsedUp()) {
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    this.#calls++
    this.#bytes += bytes
    this.#timer ??= this.#clock.after(1000, () => this.#renew())
  }

  /** Lets go whoever waits. */
  close(): void {
    this.#timer?.cancel()
    this.#renew()
  }

  #isUsedUp(): boolean {
    return this.#calls >= CALLS_PER_SECOND_MAX || this.#bytes >= CALL_BYTES_PER_SECOND_MAX
  }

  #renew(): void {
    this.#timer = undefined
    ;[this.#calls, this.#bytes] = [0, 0]
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
