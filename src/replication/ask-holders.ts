/**
 * Asks all holders of a drive for its log summaries: those that the locator record names and
 * those that the summaries name in turn.
 *
 * @module
 */
import type { KeyPair } from '../crypto/sodium.ts'
import type { Clock } from '../sync/clock.ts'
import type { FoundLocator } from './find-locator.ts'
import type { HolderLink } from './holder-link.ts'
import { HOLDERS_MAX } from './known-holders.ts'
import { WANTED_PEERS_MAX, type PeerConnection, type PeerNetwork } from './peer-network.ts'
import { RecoveredSummaries } from './recovered-summaries.ts'
import { ReplicationError } from './replication-error.ts'

/** How long holders are waited for, in milliseconds. */
export const HOLDERS_DEADLINE_MS = 30_000

/** How many holders are asked at most. */
export const ASKED_HOLDERS_MAX = Math.min(HOLDERS_MAX, WANTED_PEERS_MAX)

/**
 * How a holder answered: `silent` not at all, `answered` with what it has, `refused` it does not
 * let us in, `lied` with what is not genuine.
 */
export type HolderAnswer = 'silent' | 'answered' | 'refused' | 'lied'

/** A holder that was asked. */
export interface AskedHolder {
  /** Its network key as 64 lowercase hexadecimal digits. */
  readonly network: string
  /** What its owner called it, once it is known. */
  readonly name: string | undefined
  /** How it answered. */
  readonly answer: HolderAnswer
}

/** What a holder is asked for. */
export type RecoverySource = Pick<HolderLink, 'summaries'>

/** What asking needs. */
export interface AskHoldersParts {
  /** Connections, by the network key of this device; borrowed, its handlers are set. */
  readonly network: PeerNetwork
  /** Says who we are to a holder on a fresh connection. */
  readonly greet: (connection: PeerConnection) => Promise<RecoverySource>
  /** What stands under the words. */
  readonly found: FoundLocator
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The person's recovery key. */
  readonly recovery: KeyPair
  /** Time. */
  readonly clock: Clock
  /** See {@link HOLDERS_DEADLINE_MS}. */
  readonly deadlineMs?: number
  /** Gives up when aborted. */
  readonly signal?: AbortSignal
  /** Told of each answer. */
  readonly onAnswer?: (holders: readonly AskedHolder[]) => void
}

interface Asked {
  answer: HolderAnswer
  connection: PeerConnection | undefined
}

/** See the module. */
export class HolderInquiry {
  /** What came. */
  readonly summaries: RecoveredSummaries
  readonly #parts: AskHoldersParts
  readonly #asked = new Map<string, Asked>()
  readonly #names = new Map<string, string>()
  #onSettled: () => void = () => undefined
  #onConnection: (connection: PeerConnection) => void = () => undefined
  #isOver = false

  private constructor(parts: AskHoldersParts) {
    const { found, identity } = parts
    this.#parts = parts
    const { drive } = found.record
    this.summaries = new RecoveredSummaries({ identity, drive, summaryKeys: found.summaryKeys })
  }

  /**
   * Asks until every holder has answered or the deadline has passed. The connections stay open.
   *
   * @throws {ReplicationError} `NO_ANSWER` when nothing came that these words open, `INTERRUPTED`
   */
  static async ask(parts: AskHoldersParts): Promise<HolderInquiry> {
    const inquiry = new HolderInquiry(parts)
    await inquiry.#run()
    if (inquiry.summaries.count === 0) throw inquiry.#nothing()
    return inquiry
  }

  /** All holders that are known of. */
  get holders(): readonly AskedHolder[] {
    return [...this.#asked].map(([network, { answer }]) => ({
      network,
      name: this.#names.get(network),
      answer
    }))
  }

  /** Whether every holder handed over what it has. */
  get isComplete(): boolean {
    return this.holders.every(({ answer }) => answer === 'answered')
  }

  /** Whether the record tells of a newer summary than any that came. */
  get isStale(): boolean {
    const { summaryHash, summaryMs } = this.#parts.found.record
    return this.summaries.newestMs < summaryMs && !this.summaries.has(summaryHash)
  }

  /**
   * Tells of each connection to a holder that answered: those that are open, and those that
   * replace them when they break.
   */
  onConnections(listener: (connection: PeerConnection) => void): void {
    this.#onConnection = listener
    for (const { answer, connection } of this.#asked.values())
      if (answer === 'answered' && connection?.stream.destroying === false) listener(connection)
  }

  async #run(): Promise<void> {
    const { network, found, clock, signal, deadlineMs = HOLDERS_DEADLINE_MS } = this.#parts
    this.#throwIfAborted()
    const settled = new Promise<void>(resolve => {
      this.#onSettled = resolve
    })
    const timer = clock.after(deadlineMs, this.#onSettled)
    const onAbort = (): void => this.#onSettled()
    signal?.addEventListener('abort', onAbort, { once: true })
    network.mayConnect = publicKey => this.#asked.has(hexOf(publicKey))
    network.onConnection = connection => void this.#meet(connection)
    for (const holder of found.record.holders) this.#want(holder)
    this.#tell()
    await settled
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
    this.#isOver = true
    this.#throwIfAborted()
  }

  #throwIfAborted(): void {
    if (this.#parts.signal?.aborted === true)
      throw new ReplicationError('INTERRUPTED', 'recovery was given up')
  }

  #want(holder: Uint8Array): void {
    const id = hexOf(holder)
    if (this.#asked.has(id) || this.#asked.size >= ASKED_HOLDERS_MAX) return
    this.#asked.set(id, { answer: 'silent', connection: undefined })
    this.#parts.network.connectTo(holder)
  }

  async #meet(connection: PeerConnection): Promise<void> {
    const asked = this.#asked.get(hexOf(connection.remotePublicKey))
    // After the end of the inquiry only those come back that answered before.
    if (asked === undefined || (this.#isOver && asked.answer !== 'answered'))
      return void connection.close()
    asked.connection = connection
    try {
      const source = await this.#parts.greet(connection)
      if (this.#isOver) return this.#onConnection(connection)
      asked.answer = this.#take(await source.summaries()) ? 'answered' : 'lied'
    } catch (error) {
      if (!(error instanceof ReplicationError)) throw error
      if (error.code === 'REFUSED') asked.answer = 'refused'
      else if (error.code === 'BAD_ANSWER') asked.answer = 'lied'
      // Else the connection broke or was too slow; it is tried again until the deadline.
      else void connection.close()
    }
    if (asked.answer === 'refused' || asked.answer === 'lied')
      this.#parts.network.disconnectFrom(connection.remotePublicKey)
    this.#tell()
  }

  /** @returns whether all of it is genuine */
  #take(summaries: readonly Uint8Array[]): boolean {
    const areGenuine = summaries.map(bytes => this.summaries.add(bytes))
    if (areGenuine.includes(true)) {
      const { holders } = this.summaries.combine(this.#parts.recovery)
      for (const { statement } of holders.all()) {
        this.#names.set(hexOf(statement.network), statement.name)
        this.#want(statement.network)
      }
    }
    return !areGenuine.includes(false)
  }

  #tell(): void {
    const { holders } = this
    this.#parts.onAnswer?.(holders)
    if (holders.every(({ answer }) => answer !== 'silent')) this.#onSettled()
  }

  #nothing(): ReplicationError {
    const { holders } = this
    const isSilent = holders.every(({ answer }) => answer === 'silent')
    const text = isSilent
      ? `none of ${holders.length} holders answers; are they on?`
      : `${holders.filter(({ answer }) => answer !== 'silent').length} of ${holders.length} holders answered, and none has a log summary that these words open`
    return new ReplicationError('NO_ANSWER', text)
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
