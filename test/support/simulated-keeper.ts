/**
 * A keeper in memory, honest or not, and connections to it: what a custodian is tried on.
 *
 * Blocks are as long as they are said to be and only a few bytes here. Receipts are not signed:
 * a link hands over only what it verified.
 *
 * @module
 */
import { openCancel, openRelease, releaseHash, RELEASE_DELAY_MS } from '../../src/crypto/release.ts'
import { auditHash } from '../../src/crypto/challenge.ts'
import type { Random } from '../../src/crypto/random.ts'
import type { Receipt } from '../../src/crypto/receipt.ts'
import { decodeStatement } from '../../src/crypto/statement.ts'
import type {
  AuditAnswer,
  AuditRequest,
  DurablePart,
  GrantedLock,
  HeldRelease,
  HolderLink,
  KeeperUsage,
  LinkOptions
} from '../../src/replication/holder-link.ts'
import { KeepLocks } from '../../src/replication/keep-lock.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import type { ReplicationErrorCode } from '../../src/replication/replication-error.ts'
import {
  blockSetsOf,
  countBits,
  difference,
  emptyBitmap,
  indexesOf,
  intersection,
  isSubset,
  setBit,
  union
} from '../../src/sync/block-bitmap.ts'
import type { BlockSet } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import type { LogKey } from '../../src/sync/log.ts'
import type { SteppedClock } from './stepped-clock.ts'

/** How long a call takes before it is given up, in milliseconds. */
const DEADLINE_MS = 30_000

/** Who a keeper keeps for. */
export interface SimulatedOwner {
  /** The person, 32 bytes. */
  readonly identity: Uint8Array
  /** The drive, 32 bytes. */
  readonly drive: Uint8Array
  /** How long every block is said to be, in bytes. */
  readonly blockBytes: number
}

/** A device as a keeper meets it. */
export interface SimulatedDevice {
  /** Gives a block to a keeper, if it may have it. */
  serve(keeper: string, log: LogKey, index: number): Uint8Array | undefined
}

/** What may be wrong with a keeper; changed at any time. */
export interface KeeperFaults {
  /** Keeps this share of what it signs for; the rest it never had. */
  keptShare: number
  /** Asks the device for what it is to prove and has not. */
  asksAgain: boolean
  /** Answers nothing. */
  stalls: boolean
  /** Refuses to keep more. */
  refuses: ReplicationErrorCode | undefined
  /** Takes no releases. */
  refusesReleases: boolean
  /** Answers challenges with an answer to an earlier one. */
  replays: boolean
  /** How long each call takes, in milliseconds. */
  latencyMs: number
}

interface SignedWindow {
  readonly sequence: number
  readonly bitmap: Uint8Array
}

interface StoredRelease {
  readonly hash: string
  readonly statement: Uint8Array
  readonly kind: 'garbage' | 'excess'
  readonly floor: number
  readonly blocks: readonly BlockSet[]
  readonly dueMs: number
}

/** A keeper. */
export class SimulatedKeeper {
  /** Its signing key, hexadecimal. */
  readonly id: string
  /** What is wrong with it. */
  readonly faults: KeeperFaults = {
    keptShare: 1,
    asksAgain: false,
    stalls: false,
    refuses: undefined,
    refusesReleases: false,
    replays: false,
    latencyMs: 0
  }
  /** What it has: by log and index. Bit rot changes the bytes. */
  readonly blocks = new Map<string, Uint8Array>()
  /** What it was handed. */
  readonly releases: StoredRelease[] = []
  /** How many blocks it was given, to see what repair costs. */
  receivedBlocks = 0
  /** How many of these it signed for and did not keep. */
  droppedBlocks = 0
  /** How many challenges it answered. */
  challenges = 0
  /** Most it takes, in bytes. */
  quotaBytes: number
  /** The machine that it says it runs on; 16 bytes. */
  machine: Uint8Array
  locks: KeepLocks
  sequence = 0
  signed = new Map<string, SignedWindow>()
  readonly owner: SimulatedOwner
  readonly clock: SteppedClock
  readonly random: Random
  #lastAnswer: AuditAnswer | undefined

  constructor(options: {
    readonly id: string
    readonly owner: SimulatedOwner
    readonly clock: SteppedClock
    readonly random: Random
    readonly quotaBytes?: number
  }) {
    const { id, owner, clock, random, quotaBytes = Number.MAX_SAFE_INTEGER } = options
    this.id = id
    this.owner = owner
    this.clock = clock
    this.random = random
    this.quotaBytes = quotaBytes
    this.machine = new Uint8Array(Buffer.from(id, 'hex')).subarray(0, 16)
    this.locks = new KeepLocks({ clock, random })
  }

  /** A connection of a device to it. */
  connect(device: SimulatedDevice): SimulatedLink {
    return new SimulatedLink(this, device)
  }

  /** The disk is lost, records and all. */
  loseEverything(): void {
    this.blocks.clear()
    this.signed = new Map()
    this.sequence = 0
    this.locks = new KeepLocks(this)
  }

  /** Whether it has a block as it should be. */
  has(log: LogKey, index: number, bytes: Uint8Array): boolean {
    return this.blocks.get(`${log}/${index}`) === bytes
  }

  usage(): KeeperUsage {
    let blocks = 0
    for (const { bitmap } of this.signed.values()) blocks += countBits(bitmap)
    return {
      quotaBytes: this.quotaBytes,
      usedBytes: blocks * this.owner.blockBytes,
      onlineSec: 0,
      sequence: this.sequence,
      mibSeconds: 0
    }
  }

  hold({ log, window, bitmap }: BlockSet, device: SimulatedDevice): Receipt {
    if (this.faults.refuses) throw new ReplicationError(this.faults.refuses, 'no')
    const had = this.signed.get(`${log}/${window}`)?.bitmap ?? emptyBitmap()
    const got = emptyBitmap()
    let isFull = false
    for (const index of indexesOf({ window, bitmap: difference(bitmap, had) })) {
      const { usedBytes, quotaBytes } = this.usage()
      isFull = usedBytes + (countBits(got) + 1) * this.owner.blockBytes > quotaBytes
      if (isFull) break
      const bytes = device.serve(this.id, log, index)
      if (bytes === undefined) continue
      this.receivedBlocks++
      const isKept = this.random.bytes(1)[0] ?? 0
      if (isKept < 256 * this.faults.keptShare) this.blocks.set(`${log}/${index}`, bytes)
      else this.droppedBlocks++
      setBit(got, index)
    }
    // Asked for what it has, the honest look whether it is as it should be.
    for (const index of indexesOf({ window, bitmap: intersection(bitmap, had) })) {
      const bytes = this.faults.keptShare === 1 ? device.serve(this.id, log, index) : undefined
      if (bytes !== undefined) this.blocks.set(`${log}/${index}`, bytes)
    }
    const all = union(had, got)
    const receipt = this.sign({ log, window, bitmap: all })
    if (isFull) throw new ReplicationError('FULL', 'no room')
    if (!isSubset(bitmap, all)) throw new ReplicationError('UNAVAILABLE', 'some did not come')
    return receipt
  }

  sign({ log, window, bitmap }: BlockSet): Receipt {
    this.sequence++
    this.signed.set(`${log}/${window}`, { sequence: this.sequence, bitmap })
    return this.receiptOf(log, window)
  }

  receiptOf(log: LogKey, window: number): Receipt {
    const { sequence, bitmap } = this.signed.get(`${log}/${window}`) ?? {
      sequence: 0,
      bitmap: emptyBitmap()
    }
    const { identity, drive, blockBytes } = this.owner
    return {
      ...{ sequence, bitmap, window, identity, drive, machine: this.machine },
      previous: new Uint8Array(32),
      log: bytesOf(log),
      length: 0,
      treeHash: new Uint8Array(32),
      bytes: countBits(bitmap) * blockBytes,
      timeMs: this.clock.nowMs,
      onlineSec: 0,
      signer: bytesOf(this.id),
      statement: new Uint8Array([sequence & 0xff])
    }
  }

  receipts(since: number): readonly Receipt[] {
    return [...this.signed]
      .filter(([, { sequence }]) => sequence > since)
      .sort(([, left], [, right]) => left.sequence - right.sequence)
      .map(([key]) => {
        const [log = '', window] = key.split('/')
        return this.receiptOf(logKey(log), Number(window))
      })
  }

  answer({ log, indexes, mode }: AuditRequest, device: SimulatedDevice): AuditAnswer {
    this.challenges++
    if (this.faults.replays && this.#lastAnswer !== undefined) return this.#lastAnswer
    if (this.faults.asksAgain)
      for (const index of indexes)
        if (!this.blocks.has(`${log}/${index}`)) device.serve(this.id, log, index)
    const missing = indexes.filter(index => !this.blocks.has(`${log}/${index}`))
    const isHonest = this.faults.keptShare === 1
    if (missing.length > 0 && isHonest) {
      this.giveUp(log, missing)
      return { kind: 'missing', indexes: missing }
    }
    const read = (index: number): Uint8Array =>
      this.blocks.get(`${log}/${index}`) ?? this.random.bytes(8)
    const nonce = this.random.bytes(32)
    const blocks = indexes.map(index => ({ index, bytes: read(index) }))
    const hash = auditHash({ nonce, keeper: bytesOf(this.id), log: bytesOf(log), blocks })
    const answer: AuditAnswer =
      mode === 'hash'
        ? { kind: 'hash', nonce, hash }
        : { kind: 'blocks', blocks: blocks.map(({ bytes }) => bytes) }
    this.#lastAnswer ??= answer
    return answer
  }

  /** Signs for less: what is missing is no more under receipt. */
  giveUp(log: LogKey, indexes: readonly number[]): void {
    for (const { window, bitmap } of blockSetsOf(log, indexes)) {
      const had = this.signed.get(`${log}/${window}`)
      if (had !== undefined) this.sign({ log, window, bitmap: difference(had.bitmap, bitmap) })
    }
  }

  addRelease(statement: Uint8Array): void {
    if (this.faults.refusesReleases) throw new ReplicationError('FULL', 'too many wait')
    if (decodeStatement(statement).domain === 'custody/cancel') {
      const cancelled = Buffer.from(openCancel(statement).release).toString('hex')
      const at = this.releases.findIndex(({ hash }) => hash === cancelled)
      if (at >= 0) this.releases.splice(at, 1)
      return
    }
    const { kind, floor, windows } = openRelease(statement)
    const blocks = windows.map(({ log, window, bitmap }) => ({
      ...{ window, bitmap },
      log: logKey(Buffer.from(log).toString('hex'))
    }))
    const hash = Buffer.from(releaseHash(statement)).toString('hex')
    this.releases.push({
      statement,
      hash,
      kind,
      floor,
      blocks,
      dueMs: this.clock.nowMs + RELEASE_DELAY_MS
    })
  }

  /** Forgets garbage whose release has taken effect. */
  dropGarbage(): void {
    for (const { kind, blocks, dueMs } of this.releases) {
      if (kind !== 'garbage' || dueMs > this.clock.nowMs) continue
      for (const set of blocks) this.drop(set)
    }
  }

  drop(blocks: BlockSet): Receipt {
    const { log, window, bitmap } = blocks
    for (const index of indexesOf(blocks)) this.blocks.delete(`${log}/${index}`)
    const had = this.signed.get(`${log}/${window}`)?.bitmap ?? emptyBitmap()
    return this.sign({ log, window, bitmap: difference(had, bitmap) })
  }

  /** What may be dropped of a window now, and with locks of how many. */
  excess({ log, window }: BlockSet): { readonly bitmap: Uint8Array; readonly floor: number } {
    const due = this.releases.filter(
      ({ kind, dueMs }) => kind === 'excess' && dueMs <= this.clock.nowMs
    )
    let [bitmap, floor] = [emptyBitmap(), 1]
    for (const release of due) {
      for (const set of release.blocks) {
        if (set.log !== log || set.window !== window) continue
        bitmap = union(bitmap, set.bitmap)
        floor = Math.max(floor, release.floor)
      }
    }
    return { bitmap, floor }
  }
}

/** A connection to a simulated keeper. */
export class SimulatedLink implements HolderLink {
  readonly id: string
  readonly #keeper: SimulatedKeeper
  readonly #device: SimulatedDevice
  readonly #closed: Promise<never>
  #close: (error: Error) => void = () => undefined
  #isClosed = false

  constructor(keeper: SimulatedKeeper, device: SimulatedDevice) {
    this.id = keeper.id
    this.#keeper = keeper
    this.#device = device
    this.#closed = new Promise<never>((_, reject) => {
      this.#close = reject
    })
    this.#closed.catch(() => undefined)
  }

  /** Whether it is gone. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The connection is gone: what is under way fails. */
  close(): void {
    this.#isClosed = true
    this.#close(new ReplicationError('CLOSED', 'gone'))
  }

  hold(blocks: BlockSet, options?: LinkOptions): Promise<Receipt> {
    return this.#call(() => this.#keeper.hold(blocks, this.#device), options)
  }

  receipts(since: number, options?: LinkOptions): Promise<readonly Receipt[]> {
    return this.#call(() => this.#keeper.receipts(since), options)
  }

  challenge(audit: AuditRequest, options?: LinkOptions): Promise<AuditAnswer> {
    return this.#call(() => this.#keeper.answer(audit, this.#device), options)
  }

  usage(options?: LinkOptions): Promise<KeeperUsage> {
    return this.#call(() => this.#keeper.usage(), options)
  }

  fetch(
    block: { readonly log: LogKey; readonly index: number },
    options?: LinkOptions
  ): Promise<Uint8Array | undefined> {
    return this.#call(() => this.#keeper.blocks.get(`${block.log}/${block.index}`), options)
  }

  durable({ blocks }: DurablePart, options?: LinkOptions): Promise<void> {
    return this.#call(() => {
      for (const set of blocks)
        for (const index of indexesOf(set)) {
          const has = this.#keeper.blocks.has(`${set.log}/${index}`)
          const bytes = has ? undefined : this.#device.serve(this.id, set.log, index)
          if (!has && bytes === undefined) throw new ReplicationError('UNAVAILABLE', 'not served')
          if (bytes !== undefined) this.#keeper.blocks.set(`${set.log}/${index}`, bytes)
        }
    }, options)
  }

  release(statement: Uint8Array, options?: LinkOptions): Promise<void> {
    return this.#call(() => this.#keeper.addRelease(statement), options)
  }

  releases(options?: LinkOptions): Promise<readonly HeldRelease[]> {
    return this.#call(
      () =>
        this.#keeper.releases.map(({ statement, dueMs }) => ({
          statement,
          receivedMs: dueMs - RELEASE_DELAY_MS
        })),
      options
    )
  }

  mark(blocks: BlockSet, options?: LinkOptions): Promise<Uint8Array> {
    return this.#call(() => this.#keeper.locks.mark(blocks), options)
  }

  unmark(attempt: Uint8Array, options?: LinkOptions): Promise<void> {
    return this.#call(() => this.#keeper.locks.unmark(attempt), options)
  }

  lock(
    blocks: BlockSet & { readonly dropper: string; readonly attempt: Uint8Array },
    options?: LinkOptions
  ): Promise<GrantedLock> {
    return this.#call(() => {
      const { attempt, log, window, bitmap } = blocks
      const held = this.#keeper.signed.get(`${log}/${window}`)?.bitmap ?? emptyBitmap()
      this.#keeper.locks.grant({ blocks, attempt, held })
      return { statement: shownLock({ locker: this.id, attempt, log, window, bitmap }) }
    }, options)
  }

  drop(
    attempt: Uint8Array,
    locks: readonly GrantedLock[],
    options?: LinkOptions
  ): Promise<Receipt> {
    return this.#call(() => {
      const shown = locks.map(({ statement }) => openShownLock(statement))
      const check = { attempt, locks: shown, self: this.id }
      const place = this.#keeper.locks.checkDrop({ ...check, floor: 1 })
      const { bitmap, floor } = this.#keeper.excess(place)
      const blocks = this.#keeper.locks.checkDrop({ ...check, floor })
      if (!isSubset(blocks.bitmap, bitmap)) throw new ReplicationError('KEEP_LOCKED', 'no release')
      const receipt = this.#keeper.drop(blocks)
      this.#keeper.locks.unmark(attempt)
      return receipt
    }, options)
  }

  putSummary(): Promise<void> {
    return this.#call(() => undefined)
  }

  summaries(): Promise<readonly Uint8Array[]> {
    return this.#call(() => [])
  }

  putLocator(): Promise<void> {
    return this.#call(() => undefined)
  }

  async #call<Result>(work: () => Result, options: LinkOptions = {}): Promise<Result> {
    if (this.#isClosed) throw new ReplicationError('CLOSED', 'gone')
    const { signal } = options
    let giveUp: () => void = () => undefined
    const aborted = new Promise<never>((_, reject) => {
      giveUp = () => reject(new ReplicationError('INTERRUPTED', 'given up'))
    })
    if (signal?.aborted === true) giveUp()
    signal?.addEventListener('abort', giveUp)
    try {
      return await Promise.race([this.#answer(work, options), this.#closed, aborted])
    } finally {
      signal?.removeEventListener('abort', giveUp)
    }
  }

  async #answer<Result>(work: () => Result, options: LinkOptions): Promise<Result> {
    const { stalls, latencyMs } = this.#keeper.faults
    if (latencyMs > 0) await this.#pass(latencyMs)
    else await Promise.resolve()
    if (this.#isClosed) throw new ReplicationError('CLOSED', 'gone')
    if (!stalls) return work()
    await this.#pass(options.deadlineMs ?? DEADLINE_MS)
    throw new ReplicationError('NO_ANSWER', 'too late')
  }

  #pass(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.#keeper.clock.after(ms, resolve)
    })
  }
}

interface PlainLock {
  readonly locker: string
  readonly attempt: Uint8Array
  readonly log: LogKey
  readonly window: number
  readonly bitmap: Uint8Array
}

/** A lock that nobody signed. */
export function shownLock(lock: PlainLock): Uint8Array {
  const { locker, attempt, log, window, bitmap } = lock
  const plain = { locker, log, window, attempt: [...attempt], bitmap: [...bitmap] }
  return new TextEncoder().encode(JSON.stringify(plain))
}

function openShownLock(statement: Uint8Array): {
  readonly locker: string
  readonly attempt: string
  readonly log: LogKey
  readonly window: number
  readonly bitmap: Uint8Array
} {
  const plain = JSON.parse(new TextDecoder().decode(statement)) as {
    readonly locker: string
    readonly log: LogKey
    readonly window: number
    readonly attempt: readonly number[]
    readonly bitmap: readonly number[]
  }
  const attempt = Buffer.from(plain.attempt).toString('hex')
  return { ...plain, attempt, bitmap: Uint8Array.from(plain.bitmap) }
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
