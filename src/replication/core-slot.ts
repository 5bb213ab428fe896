/**
 * One open hypercore of a home: the only place that appends to it.
 *
 * Every handle of a log shares the slot, so that there is one queue and one appender per log
 * whatever the callers do. The signing key is passed with each append and is never stored:
 * a key that a hypercore is opened with is written to its database in clear.
 *
 * A peer may know entries of this log that are not here: the log lost its tail, or a copy of the
 * home appends too. Hypercore takes them from the peer, for they are signed; the slot notices
 * that its log grew without it ({@link CoreSlot.onOutrun}) and appends no more.
 *
 * This is the home of hypercore; the other files that work on cores import from here.
 *
 * @module
 */
import Hypercore, {
  type CoreDownload,
  type CorePeer,
  type CoreProof,
  type CoreRequest,
  type Manifest,
  type ProofNode
} from 'hypercore'
import crypto, { type KeyPair } from 'hypercore-crypto'
import { knownBlockHash } from '../crypto/block-hash.ts'
import { logKey, type LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { MovableLog, Range } from './blob-reclaimer.ts'
import { checkEntries, checkIndex, checkRange } from './log-arguments.ts'
import { toSyncError } from './storage-error.ts'

/** How many bytes the seed of a log's key pair has. */
export const LOG_SEED_BYTES = 32

/** How many bytes the public half of a log's key pair has. */
export const LOG_PUBLIC_KEY_BYTES = 32

/** How many bytes the user data of a log's manifest have. */
export const LOG_USER_DATA_BYTES = 32

/** A core of any device; see `types/hypercore.d.ts`. */
export type Core = Hypercore

export type { CoreDownload, CorePeer, CoreProof, CoreRequest, Manifest, ProofNode }

/** What makes a log of another device: the same two give the same log. */
export interface RemoteLogIdentity {
  /** The public half of its signing key pair, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Hash of who made the log and for what, {@link LOG_USER_DATA_BYTES}. */
  readonly userData: Uint8Array
}

/** What makes a log: the same two give the same log. */
export interface LogIdentity {
  /** Seed of the signing key pair, {@link LOG_SEED_BYTES}. Only read; the caller keeps it. */
  readonly seed: Uint8Array
  /** Hash of who made the log and for what, {@link LOG_USER_DATA_BYTES}; peers can check it. */
  readonly userData: Uint8Array
}

/** What a log's key is the hash of, and what signs its entries. */
export interface LogSigner {
  /** The log's key. */
  readonly key: LogKey
  /** Its manifest. */
  readonly manifest: Manifest
  /** Its signing key pair. */
  readonly keyPair: KeyPair
}

/** Tells our signatures from those of any other program with the same key. */
const NAMESPACE = new TextEncoder().encode('grove/1/log'.padEnd(32, '\0'))

/**
 * hypercore hashes every block it appends. A block's hash is that very hash and was taken when it
 * was sealed, so hypercore is given it: hashing twice was an eighth of all work of a large write.
 */
const hashLeaf = crypto.data.bind(crypto)
crypto.data = block => knownBlockHash(block) ?? hashLeaf(block)

/** Derives key, manifest and key pair of a log. */
export function logSigner({ seed, userData }: LogIdentity): LogSigner {
  if (seed.length !== LOG_SEED_BYTES || userData.length !== LOG_USER_DATA_BYTES)
    throw new RangeError('seed and user data of a log have 32 bytes each')
  const keyPair = crypto.keyPair(seed)
  return { ...logManifest({ publicKey: keyPair.publicKey, userData }), keyPair }
}

/** Derives key and manifest of a log from what is public of it. */
export function logManifest({ publicKey, userData }: RemoteLogIdentity): {
  readonly key: LogKey
  readonly manifest: Manifest
} {
  if (publicKey.length !== LOG_PUBLIC_KEY_BYTES || userData.length !== LOG_USER_DATA_BYTES)
    throw new RangeError('public key and user data of a log have 32 bytes each')
  const manifest: Manifest = {
    version: 2,
    hash: 'blake2b',
    allowPatch: false,
    quorum: 1,
    signers: [{ signature: 'ed25519', namespace: NAMESPACE, publicKey }],
    userData
  }
  return { key: logKey(Hypercore.key(manifest).toString('hex')), manifest }
}

/** A hypercore and the queue of its appender. */
export class CoreSlot implements MovableLog {
  /** The log's key. */
  readonly key: LogKey
  /** The core; nobody else may append to it or close it. */
  readonly core: Core
  /** Told once, when it is seen that the log has entries that were not appended here. */
  onOutrun: () => void = () => undefined
  readonly #keyPair: KeyPair
  #tail: Promise<unknown> = Promise.resolve()
  #length = 0
  /** How long the log may be: what was here at the start and what was appended since. */
  #lengthMax: number
  #isOutrun = false
  #closed = false

  private constructor(core: Core, { key, keyPair }: LogSigner) {
    this.key = key
    this.core = core
    this.#keyPair = keyPair
    this.#lengthMax = core.length
    keepTreeNodes(core)
    core.on('append', () => {
      if (core.length > this.#lengthMax) this.#beOutrun()
    })
  }

  /**
   * Makes the slot of a core.
   *
   * @param core - opened by its manifest alone; owned from now on
   * @throws {SyncError} `DAMAGED` when what the core says about itself cannot be read
   */
  static async open(core: Core, signer: LogSigner): Promise<CoreSlot> {
    await wrapped('opening a log', () => core.ready(), 'DAMAGED')
    // A core that misses hashes of its own opens all the same, to be repaired by a peer; an
    // append to it would sign a history that never was.
    await readTreeHash(core, core.length)
    return new CoreSlot(core, signer)
  }

  /** How many entries have been appended and acknowledged, or came from a peer. */
  get length(): number {
    // A core that is closed says 0.
    if (this.core.opened) this.#length = this.core.length
    return this.#length
  }

  /** Whether a peer knew entries that were not appended here, or a conflict was seen. */
  get isOutrun(): boolean {
    return this.#isOutrun
  }

  /** Ends the appending: another history of this log was seen. */
  freeze(): void {
    this.#beOutrun()
  }

  /**
   * Appends in turn; see `Log.append`.
   *
   * @param admit - asked for the space just before; throws to refuse
   */
  async append(
    entries: readonly Uint8Array[],
    expectedLength: number,
    admit?: (bytes: number) => Promise<void>
  ): Promise<number> {
    checkEntries(entries)
    return this.#inTurn(async () => {
      if (!this.#mayAppend(expectedLength)) throw divergedError()
      await admit?.(entries.reduce((sum, entry) => sum + entry.length, 0))
      await this.#append(entries, expectedLength + entries.length)
      return expectedLength + entries.length
    })
  }

  /** Entries of a peer may arrive until the core takes its own lock: then nothing is appended. */
  async #append(entries: readonly Uint8Array[], maxLength: number): Promise<void> {
    let isAppended = false
    const postappend = (): void => {
      isAppended = true
      this.#lengthMax = maxLength
    }
    const options = { keyPair: this.#keyPair, maxLength, postappend }
    await wrapped('an append', () => this.core.append(entries, options))
    if (!isAppended) throw divergedError()
  }

  #mayAppend(expectedLength: number): boolean {
    return !this.#isOutrun && this.core.opened && this.core.length === expectedLength
  }

  #beOutrun(): void {
    if (this.#isOutrun || this.#closed) return
    this.#isOutrun = true
    this.onOutrun()
  }

  /** Reads an entry; see `Log.get`. */
  async get(index: number): Promise<Uint8Array> {
    checkIndex(index)
    const entry = await readEntry(this.core, index)
    if (entry === null) throw new SyncError('MISSING', 'the entry is not stored here')
    return entry
  }

  /** Whether the entry is stored. */
  async has(index: number): Promise<boolean> {
    checkIndex(index)
    return wrapped('a look-up', () => this.core.has(index))
  }

  /** Hashes a prefix; see `Log.treeHash`. */
  async treeHash(length: number): Promise<Uint8Array> {
    checkIndex(length)
    if (length > this.length) throw new RangeError('the log is shorter than that')
    return readTreeHash(this.core, length)
  }

  /** Forgets blocks in turn; see `BlockStore.clear`. */
  async clear(range: Range): Promise<void> {
    return this.#inTurn(async () => {
      checkRange(range, this.length)
      await wrapped('a clear', () => this.core.clear(range.from, range.to))
    })
  }

  /** How many blocks of a range are stored. */
  storedCount(range: Range): number {
    return countStored(this.core, range)
  }

  /** Writes stored blocks anew, in turn; see `MovableLog.move`. */
  async move(range: Range, bytesMax: number): Promise<{ bytes: number; next: number }> {
    return this.#inTurn(() => moveBlocks(this.core, range, bytesMax))
  }

  /** Waits for the queue, closes the core and wipes the key. Idempotent. */
  async close(): Promise<void> {
    this.#length = this.length
    this.#closed = true
    await this.#tail
    await this.core.close()
    this.#keyPair.secretKey.fill(0)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new SyncError('CLOSED', 'the home was closed'))
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => undefined)
    return turn
  }
}

/**
 * Makes `clear` leave the hashes of cleared blocks. Hypercore deletes those that it needs no
 * more to prove what is left; we keep them (some 100 bytes a block), so that every earlier
 * length still has its tree hash and a block fetched again can be checked.
 */
export function keepTreeNodes(core: Core): void {
  const { storage } = core.core.state
  const write = storage.write.bind(storage)
  storage.write = () => Object.assign(write(), { deleteTreeNode: () => undefined })
}

/** How many blocks of a range are stored. */
export function countStored(core: Core, { from, to }: Range): number {
  let count = 0
  for (let index = from; index < to; index++) if (core.core.bitfield.get(index)) count++
  return count
}

/** Writes stored blocks anew; see `MovableLog.move`. None of them may be cleared meanwhile. */
export async function moveBlocks(
  core: Core,
  range: Range,
  bytesMax: number
): Promise<{ bytes: number; next: number }> {
  const batch = core.core.state.storage.write()
  let [bytes, next] = [0, range.from]
  for (; next < range.to && bytes < bytesMax; next++) {
    const block = await readEntry(core, next).catch(() => null)
    if (block === null) continue
    batch.putBlock(next, block)
    bytes += block.length
  }
  await wrapped('a move', () => batch.flush())
  return { bytes, next }
}

/** Gives up the requests that were or will be made with this list: `REQUEST_CANCELLED`. */
export function giveUpRequests(activeRequests: CoreRequest[]): void {
  Hypercore.destroyRequests(activeRequests)
}

/** Reads what is stored; null when nothing is. */
export async function readEntry(core: Core, index: number): Promise<Uint8Array | null> {
  return wrapped('a read', () => core.get(index, { wait: false }), 'DAMAGED')
}

/** Hashes a prefix of what is stored. */
export async function readTreeHash(core: Core, length: number): Promise<Uint8Array> {
  return wrapped('a hash', () => Hypercore.treeHashFromStorage(core, length), 'DAMAGED')
}

/** Names what a call of a core throws. */
export async function wrapped<T>(
  what: string,
  work: () => Promise<T>,
  eio: 'DAMAGED' | 'IO' = 'IO'
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toSyncError(error, what, eio)
  }
}

function divergedError(): SyncError {
  return new SyncError('DIVERGED', 'the log is not as long as its appender left it')
}
