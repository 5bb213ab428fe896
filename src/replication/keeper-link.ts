/**
 * A keeper at the other end of a connection: {@link HolderLink} over the custody protocol.
 *
 * Nothing that comes is believed for having come. Receipts must be the keeper's own, for this
 * person, drive, log and window, and name at least what was asked for; answers to challenges must
 * be for the challenge; a block must have the hash that was asked for. Whatever fails that is
 * `BAD_ANSWER`.
 *
 * A keeper that does not answer in time may have answers under way: they are counted until they
 * come, and one that owes too many is asked no more.
 *
 * @module
 */
import {
  isDoublySigned,
  openBalance,
  openBalanceAccepted,
  signBalanceAccepted,
  type Balance
} from '../crypto/balance.ts'
import { hashBlock } from '../crypto/block-hash.ts'
import { CHALLENGE_ID_BYTES, CHALLENGE_NONCE_BYTES, signChallenge } from '../crypto/challenge.ts'
import { CryptoError } from '../crypto/crypto-error.ts'
import { openKeepLock } from '../crypto/keep-lock.ts'
import { openKeeperStatement, type KeeperStatement } from '../crypto/keeper-statement.ts'
import type { Random } from '../crypto/random.ts'
import { openReceipt, type Receipt } from '../crypto/receipt.ts'
import { openRelease } from '../crypto/release.ts'
import {
  HASH_BYTES,
  blake2b,
  equalBytes,
  PUBLIC_KEY_BYTES,
  type KeyPair
} from '../crypto/sodium.ts'
import {
  countBits,
  difference,
  emptyBitmap,
  intersection,
  isEmptyBitmap,
  isSubset,
  union,
  WINDOW_BLOCKS,
  type BlockSet
} from '../sync/block-bitmap.ts'
import type { Clock } from '../sync/clock.ts'
import { memberId } from '../sync/members.ts'
import {
  decodeAnswer,
  DURABLE_PARTS_MAX,
  encodeRequest,
  REQUEST_ITEMS_BYTES_MAX,
  REQUEST_ITEMS_MAX,
  type CustodyAnswer,
  type CustodyMethod,
  type CustodyRequest
} from './custody-message.ts'
import type { CustodyRpc } from './custody-rpc.ts'
import { endsInTime } from './ends-in-time.ts'
import type {
  AuditAnswer,
  AuditRequest,
  DurablePart,
  GrantedLock,
  HeldRelease,
  HolderLink,
  KeeperId,
  KeeperUsage,
  LinkOptions
} from './holder-link.ts'
import { DROP_ATTEMPTS_MAX } from './keep-lock.ts'
import { logBytes } from './keeper-records.ts'
import type { PeerConnection } from './peer-network.ts'
import { ReplicationError } from './replication-error.ts'
import type { BlocksOnTheirWay, UploadDoor } from './upload-grants.ts'
import { nowMs } from './wall-time.ts'

/** How long an answer may take that needs no more than a disk, in milliseconds. */
export const CALL_MS_MAX = 30_000

/** How long each block of a hold may take besides, in milliseconds. */
export const HOLD_BLOCK_MS_MAX = 2_000

/** How long a request waits for what is sent ahead of it, in milliseconds. */
export const PUSH_MS_MAX = 100

/** How many receipts are taken of a keeper; one that says it has more lies. */
export const RECEIPTS_MAX = 1_048_576

/** How many releases are taken of a keeper. */
export const RELEASES_TAKEN_MAX = 256

/** How many summaries are taken of a keeper. */
export const SUMMARIES_TAKEN_MAX = 256

/** What a link works with; all borrowed. */
export interface KeeperLinkParts {
  /** The channel. */
  readonly rpc: Pick<CustodyRpc, 'ask'>
  /** The keeper's signing key, 32 bytes. */
  readonly keeper: Uint8Array
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** Signs challenges; this device's. */
  readonly keyPair: KeyPair
  /** Time. */
  readonly clock: Clock
  /** Dice. */
  readonly random: Random
  /** Opened while blocks are held; without it the keeper may have everything. */
  readonly uploads?: UploadDoor
}

/** What a device says to a keeper that it meets. */
export interface HelloParts {
  /** The connection. */
  readonly connection: PeerConnection
  /** The channel on it. */
  readonly rpc: Pick<CustodyRpc, 'ask'>
  /** The person's signing key, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes; absent when it is not known, after the loss of all devices. */
  readonly drive?: Uint8Array
  /** Member statements, each after those that it rests on, this device's among them. */
  readonly statements: readonly Uint8Array[]
  /** The secret of the keeper's code, until it has admitted the person. */
  readonly secret?: Uint8Array
  /** Who the keeper must be, by signing key; anyone when absent, the first time. */
  readonly keeper?: Uint8Array
  /** Time. */
  readonly clock: Clock
}

/** A balance that keeper and person signed. */
export interface SettledBalance {
  /** The keeper's word. */
  readonly balance: Uint8Array
  /** A device's. */
  readonly accepted: Uint8Array
}

/** A keeper that has let us in. */
export interface GreetedKeeper extends KeeperStatement {
  /** The drive that it keeps for the person, 32 bytes. */
  readonly drive: Uint8Array
}

/**
 * Says who we are.
 *
 * @throws {ReplicationError} `REFUSED`, `NO_ANSWER`, `BAD_ANSWER`, `CLOSED`, `INTERRUPTED`
 */
export async function greetKeeper(
  parts: HelloParts,
  options: LinkOptions = {}
): Promise<GreetedKeeper> {
  const { connection, identity, statements, keeper: signer } = parts
  const groups = grouped(statements)
  let answer: CustodyAnswer<'hello'>
  for (const [at, group] of groups.entries())
    answer = await ask(parts, options, 'hello', {
      identity,
      drive: parts.drive,
      secret: parts.secret,
      isLast: at === groups.length - 1,
      statements: group
    })
  const said = answer
  if (said === undefined) throw badAnswer('no word of the keeper')
  return verified(() => {
    const keeper = openKeeperStatement(said.keeper, signer === undefined ? {} : { signer })
    const isOurs =
      equalBytes(keeper.identity, identity) &&
      equalBytes(keeper.nonce, blake2b(connection.handshakeHash)) &&
      (parts.drive === undefined || equalBytes(said.drive, parts.drive))
    if (!isOurs) throw badAnswer('a word of the keeper to somebody else')
    return { ...keeper, drive: said.drive }
  })
}

/** See the module. */
export class KeeperLink implements HolderLink {
  readonly id: KeeperId
  readonly #parts: KeeperLinkParts
  /** What the keeper may have now. */
  readonly #granted = new Set<BlockSet>()
  /** What was marked, by attempt, as far as it is remembered. */
  readonly #attempts = new Map<string, BlockSet>()

  /** @param parts - borrowed */
  constructor(parts: KeeperLinkParts) {
    this.#parts = parts
    this.id = memberId(parts.keeper)
  }

  /**
   * Tells it of logs.
   *
   * @param announcements - see `log-announcement.ts`
   * @throws {ReplicationError}
   */
  async announce(announcements: readonly Uint8Array[], options: LinkOptions = {}): Promise<void> {
    for (const group of grouped(announcements))
      if (group.length > 0) await this.#ask(options, 'logs', { announcements: group })
  }

  async hold(blocks: BlockSet, options: LinkOptions = {}): Promise<Receipt> {
    const deadlineMs =
      options.deadlineMs ?? CALL_MS_MAX + countBits(blocks.bitmap) * HOLD_BLOCK_MS_MAX
    this.#open([blocks])
    try {
      const { receipt } = await this.#ask({ ...options, deadlineMs }, 'hold', { blocks })
      return this.#receiptOf(receipt, blocks, blocks.bitmap)
    } finally {
      this.#shut([blocks])
    }
  }

  async receipts(since: number, options: LinkOptions = {}): Promise<readonly Receipt[]> {
    const all: Receipt[] = []
    for (let after = since; ;) {
      const { receipts, isLast } = await this.#ask(options, 'receipts', { since: after })
      for (const bytes of receipts) {
        const receipt = this.#opened(bytes)
        if (receipt.sequence <= after) throw badAnswer('receipts out of order')
        after = receipt.sequence
        all.push(receipt)
      }
      if (isLast) return all
      if (receipts.length === 0 || all.length > RECEIPTS_MAX) throw badAnswer('no end of receipts')
    }
  }

  async challenge(
    { log, indexes, mode }: AuditRequest,
    options: LinkOptions = {}
  ): Promise<AuditAnswer> {
    const { random, clock, keyPair, keeper } = this.#parts
    const id = random.bytes(CHALLENGE_ID_BYTES)
    const nonce = random.bytes(CHALLENGE_NONCE_BYTES)
    const deadlineMs = nowMs(clock) + (options.deadlineMs ?? CALL_MS_MAX)
    const content = { id, keeper, log: logBytes(log), nonce, mode, deadlineMs, indexes }
    const statement = signChallenge(content, keyPair)
    const said = await this.#ask(options, 'challenge', { statement })
    if (!equalBytes(said.id, id)) throw badAnswer('an answer to another challenge')
    const { answer } = said
    if (answer.kind === 'missing') {
      const asked = new Set(indexes)
      if (answer.indexes.length === 0 || !answer.indexes.every(index => asked.has(index)))
        throw badAnswer('blocks are missing that nobody asked for')
      return answer
    }
    if (answer.kind === 'hash' && mode === 'hash') return { ...answer, nonce }
    if (answer.kind === 'blocks' && mode === 'blocks' && answer.blocks.length === indexes.length)
      return answer
    throw badAnswer('an answer of another kind')
  }

  usage(options: LinkOptions = {}): Promise<KeeperUsage> {
    return this.#ask(options, 'usage', {})
  }

  async fetch(
    block: CustodyRequest<'fetch'>,
    options: LinkOptions = {}
  ): Promise<Uint8Array | undefined> {
    const { block: bytes } = await this.#ask(options, 'fetch', block)
    if (bytes !== undefined && !equalBytes(hashBlock(bytes), block.hash))
      throw badAnswer('another block than was asked for')
    return bytes
  }

  async durable(
    { logs, blocks, unsigned = blocks }: DurablePart,
    options: LinkOptions = {}
  ): Promise<void> {
    const count = blocks.reduce((sum, { bitmap }) => sum + countBits(bitmap), 0)
    const deadlineMs = options.deadlineMs ?? CALL_MS_MAX + count * HOLD_BLOCK_MS_MAX
    const rows = [...logs]
    this.#open(blocks)
    let pushed: BlocksOnTheirWay | undefined
    try {
      pushed = this.#parts.uploads?.push(unsigned)
      if (pushed !== undefined) await endsInTime(pushed.sent, PUSH_MS_MAX, this.#parts.clock)
      for (let at = 0; at < Math.max(rows.length, blocks.length, 1); at += DURABLE_PARTS_MAX)
        await this.#ask({ ...options, deadlineMs }, 'durable', {
          logs: new Map(rows.slice(at, at + DURABLE_PARTS_MAX)),
          blocks: blocks.slice(at, at + DURABLE_PARTS_MAX)
        })
    } finally {
      pushed?.end()
      this.#shut(blocks)
    }
  }

  async release(statement: Uint8Array, options: LinkOptions = {}): Promise<void> {
    await this.#ask(options, 'release', { statement })
  }

  async releases(options: LinkOptions = {}): Promise<readonly HeldRelease[]> {
    const { keeper, drive } = this.#parts
    const all: HeldRelease[] = []
    for (let after: Uint8Array = new Uint8Array(HASH_BYTES); ;) {
      const next = await this.#ask(options, 'releases', { after })
      if (next === undefined) return all
      const release = verified(() => openRelease(next.statement))
      const isOurs = equalBytes(release.keeper, keeper) && equalBytes(release.drive, drive)
      if (!isOurs) throw badAnswer("a release of somebody else's")
      if (Buffer.compare(release.hash, after) <= 0 || all.length >= RELEASES_TAKEN_MAX)
        throw badAnswer('no end of releases')
      all.push(next)
      after = release.hash
    }
  }

  async mark(blocks: BlockSet, options: LinkOptions = {}): Promise<Uint8Array> {
    const { attempt } = await this.#ask(options, 'mark', { blocks })
    if (this.#attempts.size >= DROP_ATTEMPTS_MAX) this.#attempts.clear()
    this.#attempts.set(memberId(attempt), blocks)
    return attempt
  }

  async unmark(attempt: Uint8Array, options: LinkOptions = {}): Promise<void> {
    this.#attempts.delete(memberId(attempt))
    await this.#ask(options, 'unmark', { attempt })
  }

  async lock(
    request: BlockSet & { readonly dropper: KeeperId; readonly attempt: Uint8Array },
    options: LinkOptions = {}
  ): Promise<GrantedLock> {
    const { dropper: name, attempt, log, window, bitmap } = request
    const dropper = Buffer.from(name, 'hex')
    const asked = { blocks: { log, window, bitmap }, dropper, attempt }
    const { statement } = await this.#ask(options, 'lock', asked)
    return verified(() => {
      const lock = openKeepLock(statement, { signer: this.#parts.keeper })
      const isAsked =
        equalBytes(lock.dropper, dropper) &&
        equalBytes(lock.attempt, attempt) &&
        equalBytes(lock.log, logBytes(log)) &&
        lock.window === window &&
        isSubset(bitmap, lock.bitmap)
      if (!isAsked) throw badAnswer('a lock of something else')
      return { statement }
    })
  }

  async drop(
    attempt: Uint8Array,
    locks: readonly GrantedLock[],
    options: LinkOptions = {}
  ): Promise<Receipt> {
    const statements = locks.map(({ statement }) => statement)
    const { receipt } = await this.#ask(options, 'drop', { attempt, locks: statements })
    const marked = this.#attempts.get(memberId(attempt))
    if (marked === undefined) return this.#opened(receipt)
    const rest = this.#receiptOf(receipt, marked, emptyBitmap())
    if (!isEmptyBitmap(intersection(rest.bitmap, marked.bitmap)))
      throw badAnswer('a receipt for what was to be dropped')
    this.#attempts.delete(memberId(attempt))
    return rest
  }

  async putSummary(summary: Uint8Array, options: LinkOptions = {}): Promise<void> {
    await this.#ask(options, 'putSummary', { summary })
  }

  async summaries(options: LinkOptions = {}): Promise<readonly Uint8Array[]> {
    const all: Uint8Array[] = []
    for (let after: Uint8Array = new Uint8Array(PUBLIC_KEY_BYTES); ;) {
      const next = await this.#ask(options, 'summaries', { after })
      if (next === undefined) return all
      if (Buffer.compare(next.device, after) <= 0 || all.length >= SUMMARIES_TAKEN_MAX)
        throw badAnswer('no end of summaries')
      all.push(next.summary)
      after = next.device
    }
  }

  async putLocator(record: Uint8Array, options: LinkOptions = {}): Promise<void> {
    await this.#ask(options, 'putLocator', { record })
  }

  /**
   * Agrees with the keeper on how much it has kept for how long.
   *
   * @param accepts - whether the keeper's count is right as far as we can tell
   * @returns the newest balance that both signed; undefined when there is none
   * @throws {ReplicationError}
   */
  async settleBalance(
    accepts: (balance: Balance) => boolean,
    options: LinkOptions = {}
  ): Promise<SettledBalance | undefined> {
    const { keeper, identity, keyPair } = this.#parts
    const offered = await this.#ask(options, 'balance', { accepted: undefined })
    const proposal = verified(() => openBalance(offered.proposal, { signer: keeper }))
    const last = this.#settled(offered.settled)
    const follows =
      equalBytes(proposal.identity, identity) &&
      proposal.sequence === (last?.sequence ?? 0) + 1 &&
      proposal.mibSeconds >= (last?.mibSeconds ?? 0)
    if (!follows) throw badAnswer('a balance that does not follow the last')
    if (!accepts(proposal)) return offered.settled
    const accepted = signBalanceAccepted(proposal.hash, keyPair)
    const { settled } = await this.#ask(options, 'balance', { accepted })
    if (this.#settled(settled)?.sequence !== proposal.sequence)
      throw badAnswer('a balance that was accepted is not kept')
    return settled
  }

  #settled(settled: SettledBalance | undefined): Balance | undefined {
    const { keeper, identity } = this.#parts
    if (settled === undefined) return undefined
    return verified(() => {
      const balance = openBalance(settled.balance, { signer: keeper })
      if (!equalBytes(balance.identity, identity)) throw badAnswer("a balance of somebody else's")
      if (!isDoublySigned(balance, openBalanceAccepted(settled.accepted)))
        throw badAnswer('a balance that nobody accepted')
      return balance
    })
  }

  #ask<Method extends CustodyMethod>(
    options: LinkOptions,
    method: Method,
    request: CustodyRequest<Method>
  ): Promise<CustodyAnswer<Method>> {
    return ask(this.#parts, options, method, request)
  }

  #open(blocks: readonly BlockSet[]): void {
    for (const one of blocks) {
      this.#granted.add(one)
      this.#parts.uploads?.grant(one)
    }
  }

  /** What somebody else still waits for stays open. */
  #shut(blocks: readonly BlockSet[]): void {
    for (const { log, window, bitmap } of blocks.filter(one => this.#granted.delete(one))) {
      const needed = [...this.#granted]
        .filter(other => other.log === log && other.window === window)
        .reduce((all, other) => union(all, other.bitmap), emptyBitmap())
      this.#parts.uploads?.withdraw({ log, window, bitmap: difference(bitmap, needed) })
    }
  }

  /** A receipt for a window that names at least these blocks. */
  #receiptOf(bytes: Uint8Array, { log, window }: BlockSet, least: Uint8Array): Receipt {
    const receipt = this.#opened(bytes)
    const isAsked =
      equalBytes(receipt.log, logBytes(log)) &&
      receipt.window === window &&
      isSubset(least, receipt.bitmap) &&
      receipt.length > lastIndex({ window, bitmap: receipt.bitmap })
    if (!isAsked) throw badAnswer('a receipt for something else')
    return receipt
  }

  #opened(bytes: Uint8Array): Receipt {
    const { keeper, identity, drive } = this.#parts
    return verified(() => {
      const receipt = openReceipt(bytes, { signer: keeper })
      if (!equalBytes(receipt.identity, identity) || !equalBytes(receipt.drive, drive))
        throw badAnswer("a receipt of somebody else's")
      return receipt
    })
  }
}

/** Asks, and gives up after a deadline or when told to. */
async function ask<Method extends CustodyMethod>(
  { rpc, clock }: Pick<KeeperLinkParts, 'rpc' | 'clock'>,
  { signal, deadlineMs = CALL_MS_MAX }: LinkOptions,
  method: Method,
  request: CustodyRequest<Method>
): Promise<CustodyAnswer<Method>> {
  const bytes = encodeRequest(method, request)
  const answer = await orGivenUp(rpc.ask(method, bytes), { clock, signal, deadlineMs })
  const outcome = verified(() => decodeAnswer(method, answer))
  if ('answer' in outcome) return outcome.answer
  throw new ReplicationError(outcome.refusal, `the keeper says: ${outcome.text}`)
}

function orGivenUp<T>(
  work: Promise<T>,
  limits: {
    readonly clock: Clock
    readonly signal: AbortSignal | undefined
    readonly deadlineMs: number
  }
): Promise<T> {
  const { clock, signal, deadlineMs } = limits
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new ReplicationError('INTERRUPTED', 'the caller gave up'))
    const timer = clock.after(deadlineMs, () =>
      reject(new ReplicationError('NO_ANSWER', 'the keeper did not answer in time'))
    )
    if (signal?.aborted === true) stop()
    signal?.addEventListener('abort', stop)
    work.then(resolve, reject).finally(() => {
      timer.cancel()
      signal?.removeEventListener('abort', stop)
    })
  })
}

/** What does not verify is a bad answer. */
function verified<T>(check: () => T): T {
  try {
    return check()
  } catch (cause) {
    if (cause instanceof CryptoError) throw badAnswer('what came is not genuine', cause)
    throw cause
  }
}

function badAnswer(message: string, cause?: unknown): ReplicationError {
  return new ReplicationError('BAD_ANSWER', message, { cause })
}

/** In as many requests as they need; at least one, which may be empty. */
function grouped(items: readonly Uint8Array[]): readonly (readonly Uint8Array[])[] {
  const groups: Uint8Array[][] = [[]]
  let bytes = 0
  for (const item of items) {
    const last = groups.at(-1)
    if (last !== undefined && last.length < REQUEST_ITEMS_MAX && bytes < REQUEST_ITEMS_BYTES_MAX)
      last.push(item)
    else {
      groups.push([item])
      bytes = 0
    }
    bytes += item.length
  }
  return groups
}

function lastIndex({ window, bitmap }: Pick<BlockSet, 'window' | 'bitmap'>): number {
  for (let bit = WINDOW_BLOCKS - 1; bit >= 0; bit--)
    if (((bitmap[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) return window * WINDOW_BLOCKS + bit
  return -1
}
