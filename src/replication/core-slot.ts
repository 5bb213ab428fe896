/**
 * One open hypercore of a home: the only place that appends to it.
 *
 * Every handle of a log shares the slot, so that there is one queue and one appender per log
 * whatever the callers do. The signing key is passed with each append and is never stored:
 * a key that a hypercore is opened with is written to its database in clear.
 *
 * @module
 */
import Hypercore, { type Manifest } from 'hypercore'
import crypto, { type KeyPair } from 'hypercore-crypto'
import { knownBlockHash } from '../crypto/block-hash.ts'
import { logKey, type LogKey } from '../sync/log.ts'
import { SyncError } from '../sync/sync-error.ts'
import type { MovableLog, Range } from './blob-reclaimer.ts'
import { checkEntries, checkIndex, checkRange } from './log-arguments.ts'
import { toSyncError } from './storage-error.ts'

/** How many bytes the seed of a log's key pair has. */
export const LOG_SEED_BYTES = 32

/** How many bytes the user data of a log's manifest have. */
export const LOG_USER_DATA_BYTES = 32

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
  const manifest: Manifest = {
    version: 2,
    hash: 'blake2b',
    allowPatch: false,
    quorum: 1,
    signers: [{ signature: 'ed25519', namespace: NAMESPACE, publicKey: keyPair.publicKey }],
    userData
  }
  return { key: logKey(Hypercore.key(manifest).toString('hex')), manifest, keyPair }
}

/** A hypercore and the queue of its appender. */
export class CoreSlot implements MovableLog {
  /** The log's key. */
  readonly key: LogKey
  readonly #core: Hypercore
  readonly #keyPair: KeyPair
  #tail: Promise<unknown> = Promise.resolve()
  #length = 0
  #closed = false

  private constructor(core: Hypercore, { key, keyPair }: LogSigner) {
    this.key = key
    this.#core = core
    this.#keyPair = keyPair
    keepTreeNodes(core)
  }

  /**
   * Makes the slot of a core.
   *
   * @param core - opened by its manifest alone; owned from now on
   * @throws {SyncError} `DAMAGED` when what the core says about itself cannot be read
   */
  static async open(core: Hypercore, signer: LogSigner): Promise<CoreSlot> {
    await wrapped('opening a log', () => core.ready(), 'DAMAGED')
    // A core that misses hashes of its own opens all the same, to be repaired by a peer; an
    // append to it would sign a history that never was.
    await readTreeHash(core, core.length)
    return new CoreSlot(core, signer)
  }

  /** How many entries have been appended and acknowledged. */
  get length(): number {
    // A core that is closed, by us or by itself after a conflict, says 0.
    if (this.#core.opened) this.#length = this.#core.length
    return this.#length
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
      if (!this.#core.opened || this.#core.length !== expectedLength) throw divergedError()
      await admit?.(entries.reduce((sum, entry) => sum + entry.length, 0))
      const { length } = await wrapped('an append', () =>
        this.#core.append(entries, { keyPair: this.#keyPair })
      )
      if (length !== expectedLength + entries.length) throw divergedError()
      return length
    })
  }

  /** Reads an entry; see `Log.get`. */
  async get(index: number): Promise<Uint8Array> {
    checkIndex(index)
    const entry = await readEntry(this.#core, index)
    if (entry === null) throw new SyncError('MISSING', 'the entry is not stored here')
    return entry
  }

  /** Whether the entry is stored. */
  async has(index: number): Promise<boolean> {
    checkIndex(index)
    return wrapped('a look-up', () => this.#core.has(index))
  }

  /** Hashes a prefix; see `Log.treeHash`. */
  async treeHash(length: number): Promise<Uint8Array> {
    checkIndex(length)
    if (length > this.length) throw new RangeError('the log is shorter than that')
    return readTreeHash(this.#core, length)
  }

  /** Forgets blocks in turn; see `BlockStore.clear`. */
  async clear(range: Range): Promise<void> {
    return this.#inTurn(async () => {
      checkRange(range, this.length)
      await wrapped('a clear', () => this.#core.clear(range.from, range.to))
    })
  }

  /** How many blocks of a range are stored. */
  storedCount({ from, to }: Range): number {
    let count = 0
    for (let index = from; index < to; index++) if (this.#core.core.bitfield.get(index)) count++
    return count
  }

  /** Writes stored blocks anew, in turn; see `MovableLog.move`. */
  async move(range: Range, bytesMax: number): Promise<{ bytes: number; next: number }> {
    return this.#inTurn(async () => {
      const batch = this.#core.core.state.storage.write()
      let [bytes, next] = [0, range.from]
      for (; next < range.to && bytes < bytesMax; next++) {
        const block = await readEntry(this.#core, next).catch(() => null)
        if (block === null) continue
        batch.putBlock(next, block)
        bytes += block.length
      }
      await wrapped('a move', () => batch.flush())
      return { bytes, next }
    })
  }

  /** Waits for the queue, closes the core and wipes the key. Idempotent. */
  async close(): Promise<void> {
    this.#length = this.length
    this.#closed = true
    await this.#tail
    await this.#core.close()
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
function keepTreeNodes(core: Hypercore): void {
  const { storage } = core.core.state
  const write = storage.write.bind(storage)
  storage.write = () => Object.assign(write(), { deleteTreeNode: () => undefined })
}

/** Reads what is stored; null when nothing is. */
async function readEntry(core: Hypercore, index: number): Promise<Uint8Array | null> {
  return wrapped('a read', () => core.get(index, { wait: false }), 'DAMAGED')
}

/** Hashes a prefix of what is stored. */
async function readTreeHash(core: Hypercore, length: number): Promise<Uint8Array> {
  return wrapped('a hash', () => Hypercore.treeHashFromStorage(core, length), 'DAMAGED')
}

async function wrapped<T>(
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
