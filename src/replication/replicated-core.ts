/**
 * A core as its peers see it: of this device or of another, attached to connections, downloaded
 * and pushed.
 *
 * What arrives is verified by hypercore against the log's key before it is stored. Here is what
 * hypercore leaves open: logs only grow (no core takes a fork), a proven conflict ends the
 * replication of that log and nothing else, and nothing of a peer is stored when only the reserve
 * of the disk is left.
 *
 * @module
 */
import { equalBytes } from '../crypto/sodium.ts'
import type { BlockSet } from '../sync/block-bitmap.ts'
import type { LogKey } from '../sync/log.ts'
import type { Core, CoreDownload, CorePeer, CoreProof, CoreRequest } from './core-slot.ts'
import { isReady, LimitedPeer, NO_REASON } from './limited-peer.ts'
import type { ParkedPush, ParkedPushes } from './parked-pushes.ts'
import type { SpaceGuard } from './space-guard.ts'
import { causeCodes } from './storage-error.ts'
import type { BlocksOnTheirWay, UploadGrants } from './upload-grants.ts'

/** How long a log may be, in entries; what peers say beyond it is a lie that would take memory. */
export const LOG_LENGTH_MAX = 2 ** 26

/** Entries are sent unasked to who lacks at most so many before them that were not sent either. */
export const PUSH_GAP_MAX = 64

/** What is counted for the proofs that come with a block, in bytes. */
const PROOF_BYTES = 4096

/** What hypercore and the database say when they could not write. */
const WRITE_FAILURES: ReadonlySet<string> = new Set(['WRITE_FAILED', 'ENOSPC', 'EDQUOT', 'EIO'])

/** How a core takes part. */
export interface ReplicatedCoreOptions {
  /** The log's name. */
  readonly key: LogKey
  /** Whether peers may send blocks unasked. Never for a log of this device. */
  readonly allowPush: boolean
  /**
   * Whether an entry is of no use to who lacks one before it. Then nothing is pushed to who may lack
   * more than {@link PUSH_GAP_MAX}: both ends would work for what has to wait, and it asks anyway.
   */
  readonly isInOrder: boolean
  /** Who is served which blocks, of a content log; of other logs everybody is served all. */
  readonly grants?: UploadGrants
  /** Refuses what would use up the disk. */
  readonly guard: SpaceGuard
  /**
   * Told when entries or blocks arrived, in the tick in which they can be read.
   *
   * @param index - which block; absent when only the length is news
   */
  readonly onArrival: (index?: number) => void
  /** Told once, when two histories of this log were proven to exist. */
  readonly onFrozen: () => void
  /** Told when something was refused because the disk is too full. */
  readonly onStarved: () => void
}

/**
 * What happened to a core: something arrived, something was refused because the disk is too full,
 * or nothing will arrive any more.
 */
export type CoreNews = 'arrived' | 'starved' | 'ended'

/** A block that arrived. */
export interface ArrivedBlock {
  /** Which one. */
  readonly index: number
  /** How large it is. */
  readonly bytes: number
}

/** Told of each piece of news, and of which block it is if it is of one. */
export type CoreWatcher = (news: CoreNews, block?: ArrivedBlock) => void

/** The replicating side of an open core. */
export class ReplicatedCore {
  /** The log's name. */
  readonly key: LogKey
  /** Whether a block of so many bytes that a peer sent may be stored; every block unless set. */
  admitsBlock: (bytes: number) => boolean = () => true
  readonly #core: Core
  readonly #options: ReplicatedCoreOptions
  readonly #limited = new Map<CorePeer, LimitedPeer>()
  /** Up to where each peer was sent what it did not ask for. */
  readonly #pushed = new WeakMap<CorePeer, number>()
  readonly #watchers = new Set<CoreWatcher>()
  /** What was sent unasked and may be wanted yet; absent when hypercore has it. */
  #parked: ParkedPushes | undefined
  #following: CoreDownload | undefined
  #isFrozen = false
  #isStarved = false

  /** @param core - opened; borrowed */
  constructor(core: Core, options: ReplicatedCoreOptions) {
    this.key = options.key
    this.#core = core
    this.#options = options
    core.core.replicator.setAllowPush(options.allowPush)
    this.#guardSpace()
    this.#containConflicts()
    core.on('peer-add', peer => {
      this.#isStarved = false
      boundClaims(peer)
      answerFromWhereAsked(peer)
      this.#guardPushes(peer)
      this.#limit(peer)
    })
    core.on('peer-remove', peer => {
      this.#limited.delete(peer)
      this.#parked?.forget(peer)
      if (!this.hasPeers) this.#isStarved = false
    })
    core.on('append', () => this.#arrive())
    core.on('download', (index, bytes) => this.#arrive({ index, bytes }))
  }

  /** How many entries the log has, as far as is known here; they need not be stored. */
  get length(): number {
    return this.#core.length
  }

  /** How many entries from 0 on are stored here without a gap. */
  get contiguousLength(): number {
    return this.#core.contiguousLength
  }

  /** Whether two histories of this log were seen. It is replicated no more. */
  get isFrozen(): boolean {
    return this.#isFrozen
  }

  /** Whether something was refused for want of space, and the peers are still the same. */
  get isStarved(): boolean {
    return this.#isStarved
  }

  /** Whether a block is stored here. */
  has(index: number): boolean {
    return this.#core.core.bitfield.get(index)
  }

  /**
   * Offers the core on a connection whose other end may have it. Idempotent; ends with the
   * connection.
   *
   * @param stream - the connection's secret stream
   */
  attach(stream: object): void {
    if (this.#isFrozen) return
    // Cores are opened passive, so that nothing offers them by itself. A channel with a passive core
    // at both ends is closed at once, and what was appended while they were apart never asked for.
    this.#core.setActive(true)
    this.#core.replicate(stream)
  }

  /** Downloads every entry, those to come too. Idempotent. */
  follow(): void {
    if (!this.#isFrozen) this.#following ??= this.#core.download({ start: 0, end: -1 })
  }

  /**
   * Asks for no further entries until {@link ReplicatedCore.follow}; takes those that are sent
   * unasked. Idempotent.
   */
  unfollow(): void {
    this.#following?.destroy()
    this.#following = undefined
  }

  /**
   * Asks for blocks for as long as it is not undone, of every peer that has them.
   *
   * @param indexes - ascending
   * @returns what undoes it
   */
  want(indexes: readonly number[]): () => void {
    const download = this.#core.download({ blocks: indexes })
    return () => download.destroy()
  }

  /**
   * Has peers send blocks unasked and lets those wait until {@link ReplicatedCore.takePushed} asks
   * for them. Nothing else is stored that was not asked for, but how long the log is. To be said
   * before the first peer comes.
   *
   * @param parked - borrowed
   */
  parkPushes(parked: ParkedPushes): void {
    this.#parked = parked
    this.setAllowPush(true)
  }

  /**
   * Stores those of some blocks that were sent unasked, as far as they verify.
   *
   * @returns undefined when there are none; else what never rejects
   */
  takePushed(indexes: ReadonlySet<number>): Promise<readonly ArrivedBlock[]> | undefined {
    const pushes = this.#parked?.take(this.key, indexes) ?? []
    return pushes.length === 0 ? undefined : this.#storePushed(pushes)
  }

  async #storePushed(pushes: readonly ParkedPush[]): Promise<readonly ArrivedBlock[]> {
    // One that does not verify is no loss: it is asked for.
    for (const { proof, from } of pushes)
      if (!this.#isFrozen) await this.#core.core.verify(proof, from).catch(() => false)
    return pushes.filter(({ index }) => this.has(index))
  }

  /** Tells of news from now on. @returns what ends it */
  watch(watcher: CoreWatcher): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Tells who watches that the core is being closed. */
  end(): void {
    this.#tell('ended')
  }

  /** Takes blocks unasked from now on, or no more. */
  setAllowPush(allowPush: boolean): void {
    this.#core.core.replicator.setAllowPush(allowPush)
  }

  /**
   * Sends entries to every peer that takes them unasked, whose connection is not full and that is
   * not far behind; the others ask for them in their own time.
   *
   * @param from - the first
   * @param to - the one after the last
   */
  async push(from: number, to: number): Promise<void> {
    if (this.#isFrozen) return
    const { peers } = this.#core.core.replicator
    const ready = peers.filter(
      peer => isReady(peer) && !this.#limited.has(peer) && this.#reaches(peer, from)
    )
    await Promise.all(ready.map(peer => this.#pushTo(peer, from, to)))
  }

  /** Sends blocks to a peer that is limited and may have them, unasked, as far as it takes that. */
  pushGranted(publicKey: Uint8Array, indexes: readonly number[]): readonly BlocksOnTheirWay[] {
    return [...this.#limited]
      .filter(([{ remotePublicKey }]) => equalBytes(remotePublicKey, publicKey))
      .map(([, limited]) => limited.push(indexes, this.length))
  }

  /** Tells a peer that is limited which blocks of a window it may have from now on. */
  offer(publicKey: Uint8Array, blocks: Omit<BlockSet, 'log'>): void {
    for (const [{ remotePublicKey }, limited] of this.#limited)
      if (equalBytes(remotePublicKey, publicKey)) limited.offer(blocks)
  }

  /** Whether a connected peer says that it has a block. */
  isOffered(index: number): boolean {
    return this.#core.core.replicator.peers.some(peer => hasBlock(peer, index))
  }

  /** Whether any peer is connected that has the core. */
  get hasPeers(): boolean {
    return this.#core.core.replicator.peers.length > 0
  }

  #arrive(block?: ArrivedBlock): void {
    this.#options.onArrival(block?.index)
    this.#tell('arrived', block)
  }

  #tell(news: CoreNews, block?: ArrivedBlock): void {
    for (const watcher of this.#watchers) watcher(news, block)
  }

  /**
   * Whether a peer has what is before an entry, or nearly all. It says so only now and then; what it
   * was sent since, and all that was sent right after that, it has or will have.
   */
  #reaches(peer: CorePeer, from: number): boolean {
    if (!this.#options.isInOrder) return true
    const said = Math.max(peer.remoteContiguousLength, peer._remoteContiguousLength)
    return from - Math.max(said, this.#pushed.get(peer) ?? 0) <= PUSH_GAP_MAX
  }

  async #pushTo(peer: CorePeer, from: number, to: number): Promise<void> {
    for (let index = from; index < to && isReady(peer); index++) {
      this.#pushed.set(peer, index + 1)
      // A push that fails is no loss: the peer asks.
      await peer.push(index).catch(() => undefined)
    }
  }

  #limit(peer: CorePeer): void {
    const { grants, key } = this.#options
    if (grants?.isLimited(peer.remotePublicKey) === true)
      this.#limited.set(peer, new LimitedPeer(peer, key, grants))
  }

  /** Has what is sent unasked wait, and lets nothing pass that hypercore would misread. */
  #guardPushes(peer: CorePeer): void {
    const ondata = peer.ondata.bind(peer)
    peer.ondata = async proof => {
      if (this.#parked === undefined || !isPush(proof)) return ondata(proof)
      // With the length the proof is of no use once that is known otherwise.
      if (proof.upgrade === null) this.#parked.park(this.key, proof, peer)
    }
    const handle = peer._handleData.bind(peer)
    peer._handleData = async proof => {
      const { request } = proof
      if (this.#parked !== undefined && !this.#isAskedFor(proof, peer))
        peer.onnodata({ request, reason: NO_REASON })
      else if (!this.#seemsForked(proof)) await handle(proof)
    }
  }

  /** Whether it answers a request, or tells nothing but a length. */
  #isAskedFor(proof: CoreProof, peer: CorePeer): boolean {
    const { request, block, upgrade, hash, seek } = proof
    if (request === 0) return block === null && hash === null && seek === null && upgrade !== null
    const asked = this.#core.core.replicator._inflight.get(request)
    return asked !== null && asked !== undefined && asked.peer === peer && answers(asked, proof)
  }

  /**
   * Hypercore takes whatever is sent unasked with a proof from length 0 for evidence of another
   * history, and compares it. The proof of a block lacks the hashes that the block gives by itself,
   * so that of a log which has grown here meanwhile looks like one (seen in 11.37.1).
   */
  #seemsForked(proof: CoreProof): boolean {
    const { upgrade } = proof
    return isPush(proof) && upgrade?.start === 0 && this.length >= upgrade.length
  }

  /** Asks for the space before anything of a peer is stored; a peer that brings more waits. */
  #guardSpace(): void {
    const { core } = this.#core
    const verify = core.verify.bind(core)
    core.verify = async (proof, from) => {
      if (isBeyondAnyLog(proof)) {
        this.#unmark(proof)
        throw new Error('a length of no log')
      }
      const hasSpace = await this.#hasSpaceFor(proof)
      if (hasSpace && this.#admits(proof)) {
        if (await verify(proof, from).catch(error => this.#rethrow(error))) return true
      } else {
        from.paused = true
        this.#starve(!hasSpace)
      }
      this.#unmark(proof)
      return false
    }
  }

  /** After a write that failed hypercore asks the peer for nothing more, as after a refusal. */
  #rethrow(error: unknown): never {
    if (causeCodes(error).some(code => WRITE_FAILURES.has(code))) this.#starve(true)
    return rethrowAsForged(error)
  }

  #starve(isDiskFull: boolean): void {
    this.#isStarved = true
    if (isDiskFull) this.#options.onStarved()
    this.#tell('starved')
  }

  #admits({ block }: CoreProof): boolean {
    if (block === null || block.value === null) return true
    return this.has(block.index) || this.admitsBlock(block.value.length)
  }

  /** Hypercore takes a block that was pushed and not stored for one that is under way, for ever. */
  #unmark({ block }: CoreProof): void {
    if (block !== null) this.#core.core.replicator._unmarkInflight(block.index)
  }

  async #hasSpaceFor({ block }: CoreProof): Promise<boolean> {
    return this.#options.guard.admit(PROOF_BYTES + (block?.value?.length ?? 0)).then(
      () => true,
      () => false
    )
  }

  /**
   * Hypercore closes every session of a core of which two histories exist. We keep what is here
   * readable and only end its replication; the peers are given the proof first.
   */
  #containConflicts(): void {
    const { core } = this.#core
    core._onconflict = async () => {
      this.#isFrozen = true
      await core.replicator.onconflict()
      this.#options.onFrozen()
      this.#tell('ended')
    }
  }
}

/**
 * Hypercore makes room for whatever a peer says that it has. What is thrown here ends the
 * connection.
 */
function boundClaims(peer: CorePeer): void {
  const onrange = peer.onrange.bind(peer)
  peer.onrange = range => {
    if (range.start + range.length > LOG_LENGTH_MAX) throw new Error('a range of no log')
    return onrange(range)
  }
  const onbitfield = peer.onbitfield.bind(peer)
  peer.onbitfield = page => {
    if (page.start > LOG_LENGTH_MAX) throw new Error('a bitfield of no log')
    return onbitfield(page)
  }
}

/** What hypercore compares before it stores an answer, unless it takes whatever is sent. */
function answers(asked: CoreRequest, { fork, block, upgrade, hash, seek }: CoreProof): boolean {
  return (
    fork === asked.fork &&
    (block === null || block.index === asked.block?.index) &&
    (hash === null || hash.index === asked.hash?.index) &&
    (seek === null || seek.bytes === asked.seek?.bytes) &&
    (upgrade === null || asked.upgrade !== null)
  )
}

/** Whether somebody sends a block unasked. */
function isPush({ request, block }: CoreProof): boolean {
  return request === 0 && block !== null
}

function isBeyondAnyLog({ upgrade }: CoreProof): boolean {
  return upgrade !== null && upgrade.start + upgrade.length > LOG_LENGTH_MAX
}

/**
 * Some malformed proofs make hypercore throw a TypeError, which it takes for a mistake in this
 * program and ends the process.
 */
function rethrowAsForged(error: unknown): never {
  const isMistake = error instanceof TypeError || error instanceof RangeError
  throw isMistake ? new Error('a proof is malformed', { cause: error }) : error
}

/**
 * A peer that takes pushes is given the proof of a new length from where the last push ended, and
 * from 0 after none: hypercore forgets to look at what the peer asks for, who then has no use for
 * the answer and never asks again (seen in 11.37.1, whenever a log grew while the peer was away).
 */
function answerFromWhereAsked(peer: CorePeer): void {
  const handle = peer._handleRequest.bind(peer)
  peer._handleRequest = request => {
    peer.pushedLength = Math.max(peer.pushedLength, request.upgrade?.start ?? 0)
    return handle(request)
  }
}

function hasBlock(peer: CorePeer, index: number): boolean {
  return index < peer.remoteContiguousLength || peer.remoteBitfield.get(index)
}
