/**
 * Requests and answers on a channel of a connection: both ends may ask, and both may answer.
 *
 * protomux-rpc keeps the numbers and the order. Here is what it leaves open: every request is
 * looked at before anything is done for it, how much is under way is bounded on both sides, what
 * a handler throws never ends the process, and a request that is being answered does not hold up
 * the frames that came with it.
 *
 * This is the home of protomux-rpc.
 *
 * @module
 */
import ProtomuxRPC, { type RpcRequest } from 'protomux-rpc'
import {
  CUSTODY_METHODS,
  isCustodyMethod,
  requestBytesMax,
  type CustodyMethod
} from './custody-message.ts'
import type { SecretStream } from './peer-network.ts'
import { ReplicationError } from './replication-error.ts'

/** How many requests one end has under way at most. */
export const CALLS_UNDER_WAY_MAX = 32

/** How many requests of the other end are answered at a time; one that sends more is cut off. */
export const ANSWERS_UNDER_WAY_MAX = 2 * CALLS_UNDER_WAY_MAX

const PROTOCOL = 'grove/custody/1'

/** What a channel works with. */
export interface CustodyRpcParts {
  /** A connection's stream, of which a {@link GuardedMux} was made already. */
  readonly stream: SecretStream
  /** Answers a request; the bytes are valid until it first waits. Must not reject. */
  readonly answer: (method: CustodyMethod, request: Uint8Array) => Promise<Uint8Array>
  /** Told, maybe repeatedly, when the other end sends what nobody sends: end the connection. */
  readonly onFault: () => void
  /** Told once when the channel is closed, by either end. */
  readonly onClose: () => void
}

/** One channel. */
export class CustodyRpc {
  readonly #rpc: GuardedRpc
  readonly #stream: SecretStream
  #waiting: (() => void)[] = []
  #underWay = 0

  private constructor(rpc: GuardedRpc, { stream, answer, onClose }: CustodyRpcParts) {
    this.#rpc = rpc
    this.#stream = stream
    for (const method of CUSTODY_METHODS) rpc.respond(method, bytes => answer(method, bytes))
    const release = (): void => this.#release()
    stream.on('drain', release)
    stream.on('close', release)
    rpc.on('close', () => {
      release()
      onClose()
    })
  }

  /** Opens the channel at this end. @throws {ReplicationError} `CLOSED` */
  static open(parts: CustodyRpcParts): CustodyRpc {
    return new CustodyRpc(openGuarded(parts), parts)
  }

  /** Whether either end closed it. */
  get isClosed(): boolean {
    return this.#rpc.closed || this.#stream.destroying
  }

  /**
   * Asks.
   *
   * @returns the answer's bytes, which may be a view of the frame that they came in
   * @throws {ReplicationError} `CLOSED` when the channel closes first, `UNAVAILABLE` when too many
   *   requests are under way, `BAD_ANSWER` when what came is no answer
   */
  async ask(method: CustodyMethod, request: Uint8Array): Promise<Uint8Array> {
    if (this.isClosed) throw closedError()
    if (this.#underWay >= CALLS_UNDER_WAY_MAX)
      throw new ReplicationError('UNAVAILABLE', 'too many requests are under way')
    this.#underWay++
    try {
      return await this.#rpc.request(method, request)
    } catch (cause) {
      if (this.isClosed) throw closedError(cause)
      throw new ReplicationError('BAD_ANSWER', 'what came is no answer', { cause })
    } finally {
      this.#underWay--
    }
  }

  /** Resolves when the connection takes more, or is gone: whoever answers with much waits. */
  whenDrained(): Promise<void> {
    if (this.isClosed || this.#rpc.mux.drained) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Closes the channel; the connection stays. Idempotent. */
  close(): void {
    this.#rpc.destroy()
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

function openGuarded({ stream, onFault }: CustodyRpcParts): GuardedRpc {
  if (stream.destroying) throw closedError()
  try {
    return new GuardedRpc(stream, onFault)
  } catch (cause) {
    throw closedError(cause)
  }
}

function closedError(cause?: unknown): ReplicationError {
  return new ReplicationError('CLOSED', 'the conversation about custody is over', { cause })
}

/** Looks at requests first. */
class GuardedRpc extends ProtomuxRPC {
  readonly #onFault: () => void
  #answering = 0

  constructor(stream: object, onFault: () => void) {
    super(stream, { protocol: PROTOCOL, valueEncoding: null })
    this.#onFault = onFault
  }

  /** Returns nothing: protomux would hold the other frames of a batch until the answer is made. */
  protected override _onrequest(request: RpcRequest): void {
    const { id, method, value } = request
    const isSound = id > 0 && isCustodyMethod(method) && value.byteLength <= requestBytesMax(method)
    if (!isSound || this.#answering >= ANSWERS_UNDER_WAY_MAX) return this.#onFault()
    this.#answering++
    void this.#answer(request)
  }

  async #answer(request: RpcRequest): Promise<void> {
    try {
      await super._onrequest(request)
    } catch {
      this.#onFault()
    } finally {
      this.#answering--
    }
  }
}
