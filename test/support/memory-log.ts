/**
 * A {@link Log} in memory, with the semantics of the real one: the conformance suite of
 * `test/suites/log-suite.ts` runs on both.
 *
 * It takes an entry's bytes only when the append completes, so a caller that changes a
 * borrowed buffer too early is found out.
 *
 * @module
 */
import { checkEntries, checkIndex } from '../../src/replication/log-arguments.ts'
import type { Log, LogKey } from '../../src/sync/log.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { MemoryHome, type StoredLog } from './memory-home.ts'

/** Where a log in memory lives, and which one it is. */
export interface MemoryLogOptions {
  /** The disk it is on; by default one of its own. */
  readonly home?: MemoryHome
  /** Its key; by default a new one. */
  readonly key?: LogKey
}

const EMPTY_HASH = new Uint8Array(32)

/** A log in a {@link MemoryHome}. */
export class MemoryLog implements Log {
  readonly key: LogKey
  /** The disk it is on. */
  readonly home: MemoryHome
  /** What the disk has, shared with every other handle of this log. */
  protected readonly stored: StoredLog
  #tail: Promise<unknown> = Promise.resolve()
  #closing = false
  #closed = false
  #lengthAtEnd = 0

  /** Opens the log, which is made when the home does not have it. */
  constructor({ home = new MemoryHome(), key = home.newKey() }: MemoryLogOptions = {}) {
    this.home = home
    this.key = key
    this.stored = home.attach(key, this)
  }

  get length(): number {
    return this.#closed ? this.#lengthAtEnd : this.stored.entries.length
  }

  async append(entries: readonly Uint8Array[], expectedLength: number): Promise<number> {
    checkEntries(entries)
    return this.inTurn(() => {
      if (this.length !== expectedLength)
        throw new SyncError('DIVERGED', 'the log is not as long as its appender left it')
      this.home.append(
        this.key,
        entries.map(entry => entry.slice())
      )
      return this.length
    })
  }

  async get(index: number): Promise<Uint8Array> {
    checkIndex(index)
    this.throwIfClosed()
    await Promise.resolve()
    this.home.readCount += 1
    const entry = this.stored.entries[index]
    if (entry === undefined) throw new SyncError('MISSING', 'the entry is not stored here')
    if (this.home.isDamaged(this.key, index))
      throw new SyncError('DAMAGED', 'the entry was damaged by the test')
    return entry.slice()
  }

  async treeHash(length: number): Promise<Uint8Array> {
    checkIndex(length)
    this.throwIfClosed()
    await Promise.resolve()
    if (length > this.length) throw new RangeError('the log is shorter than that')
    const hash = this.stored.hashes[length - 1] ?? EMPTY_HASH
    return new Uint8Array(hash)
  }

  async sync(): Promise<void> {
    this.throwIfClosed()
    await Promise.resolve()
    this.throwIfClosed()
    this.home.sync()
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#tail
    this.abandon()
    this.home.detach(this)
  }

  /** @internal The process died, or the log was closed. */
  abandon(): void {
    if (this.#closed) return
    this.#lengthAtEnd = this.stored.entries.length
    this.#closed = true
    this.#closing = true
  }

  /** Runs `work` after every call made before it. */
  protected inTurn<T>(work: () => T): Promise<T> {
    if (this.#closing) return Promise.reject(closedError())
    const turn = this.#tail.then(() => {
      if (this.#closed) throw closedError()
      return work()
    })
    this.#tail = turn.catch(() => undefined)
    return turn
  }

  /** Refuses the call when the log was closed. */
  protected throwIfClosed(): void {
    if (this.#closing) throw closedError()
  }
}

function closedError(): SyncError {
  return new SyncError('CLOSED', 'the log was closed')
}
