/**
 * Brings the content of other devices here before anybody asks for it.
 *
 * The newest is fetched first, and of what came together the smallest: what somebody just saved
 * elsewhere is here soon, however much else is missing. What is under way is bounded so that a
 * read that somebody waits for is answered soon; while there are such reads nothing new is begun.
 *
 * Nothing is remembered over a restart: what is missing is found in the index.
 *
 * @module
 */
import { setMaxListeners } from 'node:events'
import type { Clock, Timer } from '../sync/clock.ts'
import type { LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { FetchGauge, HypercoreRemoteBlocks } from './remote-core.ts'

/** How many missing blocks are remembered; of more the oldest are found again later. */
export const WANTED_BLOCKS_MAX = 65_536

/** So many bytes are under way at first. */
export const WINDOW_BYTES_START = 1024 * 1024

/** At least so many bytes may be under way. */
export const WINDOW_BYTES_MIN = 256 * 1024

/** At most so many bytes may be under way. */
export const WINDOW_BYTES_MAX = 16 * 1024 * 1024

/** A block should arrive within so many milliseconds; if it does not, less is asked for. */
export const LATENCY_GOAL_MS = 250

/** So many blocks at most are under way. */
export const FETCHES_MAX = 128

/** How long a block may take, in milliseconds. */
export const FETCH_DEADLINE_MS = 60_000

/** How long after reads that somebody waited for it goes on, in milliseconds. */
export const PAUSE_MS = 50

/** How long a block that was just named may take to come by itself, in milliseconds. */
export const PUSH_GRACE_MS = 20

/** How long after a failure what is missing is looked for again, in milliseconds; then doubling. */
export const RETRY_MS_MIN = 15_000

/** The longest wait before it is looked for again, in milliseconds. */
export const RETRY_MS_MAX = 600_000

/** How many steps of the index are looked at before other work gets its turn; a few rows each. */
export const SCAN_STEPS_PER_TURN = 64

/** A block of another device. */
export interface ContentBlock {
  /** Its content log. */
  readonly log: LogKey
  /** Its number. */
  readonly index: number
  /** How many bytes of it are known to be used, for order and progress. */
  readonly bytes: number
}

/** Whether content comes by itself or when it is read. */
export type ContentPolicy = 'all' | 'on-demand'

/** What is missing here. */
export interface FetchProgress {
  /** How many blocks. */
  readonly missingBlocks: number
  /** How many bytes. */
  readonly missingBytes: number
  /** Whether the index has not been looked through yet: there may be more. */
  readonly isCounting: boolean
}

/** What a fetcher works with. */
export interface ContentFetcherParts {
  /** Whether content is fetched by itself. */
  readonly policy: ContentPolicy
  /** The content log of another device; undefined while it is not known. */
  readonly blocksOf: (log: LogKey) => Pick<HypercoreRemoteBlocks, 'has' | 'fetchAhead'> | undefined
  /** What the index names and is not here, in steps of bounded size; each call begins anew. */
  readonly missing: () => Iterable<readonly ContentBlock[]>
  /** Whether any peer is connected. */
  readonly hasPeers: () => boolean
  /** Tells when somebody waits for a block; its handler is set. */
  readonly gauge: FetchGauge
  /** Time. */
  readonly clock: Clock
  /** Gives other work its turn. */
  readonly yieldToEventLoop: () => Promise<void>
  /** Told what went wrong, for the log. */
  readonly report: (message: string, cause?: unknown) => void
}

/** Fetches content in the background. */
export class ContentFetcher {
  /** Told when {@link ContentFetcher.progress} changed. */
  onProgress: () => void = () => undefined
  readonly #parts: ContentFetcherParts
  /** What is missing, by log and index: it waits, is under way or could not be had. */
  #missing = new Map<string, ContentBlock>()
  #missingBytes = 0
  /** What is fetched next is at the end; what is no more missing is passed over. */
  #queue: ContentBlock[] = []
  /** What could not be had since the index was looked through. */
  #failed: ContentBlock[] = []
  readonly #underWay = new Map<string, Promise<void>>()
  #bytesUnderWay = 0
  #windowBytes = WINDOW_BYTES_START
  readonly #abort = new AbortController()
  #policy: ContentPolicy
  #isHurried = false
  #mustScan = true
  #scanning: Promise<void> | undefined
  #addedSinceScan: ContentBlock[] = []
  #grace: Timer | undefined
  #pause: Timer | undefined
  #retry: Timer | undefined
  #retryMs = RETRY_MS_MIN

  /** @param parts - borrowed */
  constructor(parts: ContentFetcherParts) {
    this.#parts = parts
    this.#policy = parts.policy
    setMaxListeners(FETCHES_MAX + 1, this.#abort.signal)
  }

  /** What is missing here. */
  get progress(): FetchProgress {
    return {
      missingBlocks: this.#missing.size,
      missingBytes: this.#missingBytes,
      isCounting: this.#mustScan || this.#scanning !== undefined
    }
  }

  /** Looks through the index for what is missing and begins to fetch. */
  start(): void {
    this.#parts.gauge.onChange = () => this.#giveWay()
    this.#scan()
  }

  /** Wants blocks that operations name which were just merged. */
  add(blocks: readonly ContentBlock[]): void {
    if (this.#isClosed) return
    const fresh = blocks.filter(block => this.#want(block)).sort(largestFirst)
    this.#queue.push(...fresh)
    if (this.#scanning !== undefined) this.#addSinceScan(fresh)
    if (this.#missing.size > WANTED_BLOCKS_MAX) this.#dropOldest()
    this.#grace ??= this.#parts.clock.after(PUSH_GRACE_MS, () => {
      this.#grace = undefined
      this.#pump()
    })
    this.onProgress()
  }

  /** A block was stored, however it came. */
  arrived(log: LogKey, index: number): void {
    if (this.#forget(keyOf({ log, index }))) this.onProgress()
  }

  /** A device came or went: what could not be had is tried again. */
  peersChanged(): void {
    if (!this.#parts.hasPeers()) return
    this.#retryMs = RETRY_MS_MIN
    this.#queue.unshift(...this.#failed.splice(0))
    if (this.#mustScan) this.#scan()
    this.#pump()
  }

  /** Changes whether content is fetched by itself. */
  setPolicy(policy: ContentPolicy): void {
    this.#policy = policy
    this.#pump()
  }

  /** Fetches all that is missing now, whatever the policy. */
  hurry(): void {
    this.#isHurried = true
    this.#pump()
  }

  /** Gives up what is under way and waits for it. Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    for (const timer of [this.#grace, this.#pause, this.#retry]) timer?.cancel()
    await this.#scanning
    await Promise.all(this.#underWay.values())
  }

  get #isClosed(): boolean {
    return this.#abort.signal.aborted
  }

  #want(block: ContentBlock): boolean {
    const key = keyOf(block)
    if (this.#missing.has(key) || this.#isHere(block)) return false
    this.#missing.set(key, block)
    this.#missingBytes += block.bytes
    return true
  }

  #forget(key: string): boolean {
    const block = this.#missing.get(key)
    if (block === undefined) return false
    this.#missing.delete(key)
    this.#missingBytes -= block.bytes
    if (this.#missing.size === 0) this.#completed()
    return true
  }

  #completed(): void {
    this.#queue = []
    if (this.#mustScan) this.#scan()
    else if (this.#scanning === undefined) this.#isHurried = false
  }

  /** Of more than can be remembered the oldest are found again when the rest is here. */
  #addSinceScan(fresh: readonly ContentBlock[]): void {
    this.#addedSinceScan.push(...fresh)
    if (this.#addedSinceScan.length <= WANTED_BLOCKS_MAX) return
    this.#addedSinceScan.splice(0, this.#addedSinceScan.length - WANTED_BLOCKS_MAX / 2)
    this.#mustScan = true
  }

  #isHere({ log, index }: ContentBlock): boolean {
    return this.#parts.blocksOf(log)?.has(index) === true
  }

  /** What is dropped is found again when the rest is here. */
  #dropOldest(): void {
    this.#mustScan = true
    for (const block of this.#queue.splice(0, Math.ceil(this.#queue.length / 2)))
      this.#forget(keyOf(block))
  }

  #scan(): void {
    this.#mustScan = true
    if (this.#isClosed) return
    this.#scanning ??= this.#scanIndex().finally(() => {
      this.#scanning = undefined
      this.#pump()
      this.onProgress()
    })
  }

  /** What the index names is missing, and what was added meanwhile; nothing else is. */
  async #scanIndex(): Promise<void> {
    this.#mustScan = false
    this.#addedSinceScan = []
    try {
      const found = await this.#readIndex()
      const blocks = [...found.sort(largestFirst), ...this.#addedSinceScan]
      this.#missing = new Map()
      this.#missingBytes = 0
      this.#failed = []
      this.#queue = blocks.filter(block => this.#want(block))
    } catch (error) {
      this.#parts.report('looking for missing content failed', error)
      this.#retryLater()
    }
  }

  async #readIndex(): Promise<ContentBlock[]> {
    const found: ContentBlock[] = []
    let steps = 0
    for (const blocks of this.#parts.missing()) {
      found.push(...blocks.filter(block => !this.#isHere(block)))
      if (found.length > WANTED_BLOCKS_MAX) {
        this.#mustScan = true
        break
      }
      if (++steps % SCAN_STEPS_PER_TURN === 0) await this.#parts.yieldToEventLoop()
      if (this.#isClosed) break
    }
    return found.slice(0, WANTED_BLOCKS_MAX)
  }

  #pump(): void {
    while (this.#mayFetch()) {
      const block = this.#queue.pop()
      if (block === undefined) break
      const key = keyOf(block)
      if (!this.#missing.has(key) || this.#underWay.has(key)) continue
      if (this.#isHere(block)) this.#forget(key)
      else this.#underWay.set(key, this.#fetch(block, key))
    }
  }

  #mayFetch(): boolean {
    const isWanted = this.#policy === 'all' || this.#isHurried
    const isFree = this.#pause === undefined && !this.#parts.gauge.isBusy
    const hasRoom = this.#bytesUnderWay < this.#windowBytes && this.#underWay.size < FETCHES_MAX
    return isWanted && isFree && hasRoom && !this.#isClosed && this.#parts.hasPeers()
  }

  async #fetch(block: ContentBlock, key: string): Promise<void> {
    const startMs = this.#nowMs()
    this.#bytesUnderWay += block.bytes
    try {
      const blocks = this.#parts.blocksOf(block.log)
      if (blocks === undefined) throw new SyncError('UNREACHABLE', 'a log is not known yet')
      const { signal } = this.#abort
      await blocks.fetchAhead(block.index, { deadlineMs: FETCH_DEADLINE_MS, signal })
      this.#adapt(block.bytes, this.#nowMs() - startMs)
      this.#forget(key)
    } catch (error) {
      this.#failed.push(block)
      this.#fail(error)
    } finally {
      this.#underWay.delete(key)
      this.#bytesUnderWay -= block.bytes
      this.#pump()
      this.onProgress()
    }
  }

  /** What fails stays missing, until another device comes or the index is looked through again. */
  #fail(error: unknown): void {
    if (this.#isClosed) return
    const isUsual = error instanceof SyncError && USUAL.has(error.code)
    if (!isUsual) this.#parts.report('fetching content failed', error)
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#isClosed) return
    this.#retry ??= this.#parts.clock.after(this.#retryMs, () => {
      this.#retry = undefined
      this.#retryMs = Math.min(RETRY_MS_MAX, 2 * this.#retryMs)
      this.#scan()
    })
  }

  /** Asks for more while answers come soon, and for less when they do not. */
  #adapt(bytes: number, latencyMs: number): void {
    const change = latencyMs <= LATENCY_GOAL_MS ? bytes : -bytes / 2
    const window = this.#windowBytes + change
    this.#windowBytes = Math.min(WINDOW_BYTES_MAX, Math.max(WINDOW_BYTES_MIN, window))
  }

  /** Begins nothing while somebody waits for a block, nor in the moment after. */
  #giveWay(): void {
    this.#pause?.cancel()
    this.#pause = undefined
    if (this.#parts.gauge.isBusy || this.#isClosed) return
    this.#pause = this.#parts.clock.after(PAUSE_MS, () => {
      this.#pause = undefined
      this.#pump()
    })
  }

  #nowMs(): number {
    const { sec, nsec } = this.#parts.clock.now()
    return sec * 1000 + nsec / 1_000_000
  }
}

/** What a fetch may end with when devices come and go. */
const USUAL: ReadonlySet<string> = new Set(['UNREACHABLE', 'TIMED_OUT', 'INTERRUPTED'])

function keyOf({ log, index }: Pick<ContentBlock, 'log' | 'index'>): string {
  return `${log}/${String(index)}`
}

function largestFirst(left: ContentBlock, right: ContentBlock): number {
  return right.bytes - left.bytes
}
