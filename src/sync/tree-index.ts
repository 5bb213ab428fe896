/**
 * The index: the tree as it is now, kept step by step as operations are applied, and equal
 * after every step to what the oracle computes from the whole set. It is a cache of the logs:
 * whatever it holds can be made anew from them.
 *
 * Reads are synchronous and see every applied operation at once. What has been applied stays in
 * memory until {@link TreeIndex.flush} writes it together with the cursors, in one batch, so
 * that the store never holds an operation that the logs lack.
 *
 * This version merges the logs of one device (its epochs, one after another): every history is
 * linear, so of two operations the later has seen the earlier.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { RowSealer } from '../crypto/row-sealer.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import { ContentIndex } from './content-index.ts'
import { decodeInode, encodeInode, type InodeRecord } from './inode-record.ts'
import type { KeyValueStore } from './key-value-store.ts'
import { logKey, type LogKey } from './log.ts'
import { LogNumbers } from './log-numbers.ts'
import { ROOT_ID, type InodeId, type Name, type OperationId } from './operation.ts'
import { SyncError } from './sync-error.ts'
import { TableSet, type Table } from './table.ts'

/** The root directory's inode number. */
export const ROOT_INO = 1

/** Version of the rows; an index of another version is made anew. */
const INDEX_VERSION = 1

const TABLE_META = 0
const TABLE_INODE = 1
const TABLE_NAME = 2
const TABLE_XATTR = 5
const TABLE_IDENTITY = 6
const TABLE_ORPHAN = 9
const TABLE_CURSOR = 10

/** The operation number that marks the local identity of a file without a name. */
const NAMELESS_NUMBER = 1

const META_VERSION = 0
const META_NEXT_INO = 1
const META_NEXT_NAMELESS = 2
const META_HAS_GAPS = 3

/**
 * The first number of a file without a name. No operation records such a file, so it must not
 * take a number from the others: they would be numbered otherwise when the logs are read again.
 */
const NAMELESS_INO_FIRST = 2 ** 52

/** A name in a directory. */
export interface NameRecord {
  /** The name. */
  readonly name: Name
  /** The inode it stands for. */
  readonly ino: number
  /** Whether that is a directory; listings need it without reading the inode. */
  readonly kind: InodeRecord['kind']
}

/** An extended attribute. */
export interface XattrRecord {
  /** Its full name. */
  readonly name: Name
  /** Its value. */
  readonly value: Uint8Array
}

/** How far the index has come in one log. */
export interface Cursor {
  /** The log. */
  readonly log: LogKey
  /** How many of its entries are applied. */
  readonly length: number
  /** The log's tree hash at that length, 32 bytes. */
  readonly treeHash: Uint8Array
}

/** The tree as rows. {@link applyOperation} is what changes it. */
export class TreeIndex {
  /** Local numbers of the logs that rows name. */
  readonly logs = new LogNumbers()
  /** Where the bytes of files are. */
  readonly content: ContentIndex
  /** Inodes by number. */
  readonly inodes: Table<InodeRecord>
  /** Names by directory and name. */
  readonly names: Table<NameRecord>
  /** Extended attributes by inode and name. */
  readonly xattrs: Table<XattrRecord>
  /** Inodes that have no name but are still open, or were when the process died. */
  readonly orphans: Table<true>
  readonly #tables: TableSet
  readonly #identities: Table<number>
  readonly #meta: Table<number>
  readonly #cursors: Table<Cursor>

  private constructor(store: KeyValueStore, sealer: RowSealer) {
    const tables = new TableSet({ store, sealer })
    this.#tables = tables
    this.content = new ContentIndex(tables, this.logs)
    this.inodes = tables.table({
      number: TABLE_INODE,
      encode: record => encodeInode(record, this.logs),
      decode: bytes => decodeInode(bytes, this.logs)
    })
    this.names = tables.table<NameRecord>({
      number: TABLE_NAME,
      encode: encodeName,
      decode: decodeName,
      storedSub: (group, name) => latin1(sealer.hashName(group, name)),
      subOf: record => record.name
    })
    this.xattrs = tables.table<XattrRecord>({
      number: TABLE_XATTR,
      encode: encodeXattr,
      decode: decodeXattr,
      storedSub: (group, name) => latin1(sealer.hashName(group, name)),
      subOf: record => record.name
    })
    this.#identities = tables.table({ number: TABLE_IDENTITY, ...NUMBER_FORMAT })
    this.#meta = tables.table({ number: TABLE_META, ...NUMBER_FORMAT })
    this.orphans = tables.table<true>({
      number: TABLE_ORPHAN,
      encode: () => Uint8Array.of(1),
      decode: () => true
    })
    this.#cursors = tables.table({
      number: TABLE_CURSOR,
      encode: encodeCursor,
      decode: decodeCursor
    })
  }

  /**
   * Opens the index in a store, an empty one if the store has none that can be used.
   *
   * @param parts - the store is borrowed: its owner closes it after the last flush
   */
  static async open(parts: {
    readonly store: KeyValueStore
    readonly sealer: RowSealer
  }): Promise<TreeIndex> {
    const found = new TreeIndex(parts.store, parts.sealer)
    if (found.#isUsable()) return found
    await parts.store.clear()
    const made = new TreeIndex(parts.store, parts.sealer)
    made.#meta.put(META_VERSION, '', INDEX_VERSION)
    made.#meta.put(META_NEXT_INO, '', ROOT_INO + 1)
    made.inodes.put(ROOT_INO, '', ROOT_RECORD)
    return made
  }

  /** Sets what is called when a row turns out to be damaged or missing. */
  set onDamage(callback: () => void) {
    this.#tables.onDamage = callback
  }

  /**
   * The error for rows that do not fit together: a row that another one counts on is not there.
   * Each row is authenticated, that one is missing is not; so what is counted is compared.
   */
  inconsistent(what: string): SyncError {
    this.#tables.onDamage()
    return new SyncError('DAMAGED', `the index is damaged (${what}); grove rebuild-index mends it`)
  }

  /** How many changed rows wait to be flushed. */
  get changeCount(): number {
    return this.#tables.changeCount
  }

  /** Checks that the runs of a file are all there. @throws {SyncError} `DAMAGED` when they are not */
  checkAllocated(record: InodeRecord): void {
    let bytes = 0
    for (const run of this.content.everyRun(record.ino)) bytes += run.length
    if (bytes !== record.allocated) throw this.inconsistent('a part of a file is missing')
  }

  /** @returns the inode. @throws {SyncError} `MISSING` */
  inode(ino: number): InodeRecord {
    const record = this.inodes.get(ino)
    if (record === undefined) throw new SyncError('MISSING', 'no such inode')
    return record
  }

  /** @returns the inode number of an identity, or undefined if it is not (or no longer) known */
  find(id: InodeId): number | undefined {
    if (id.log === ROOT_ID.log) return id.number === ROOT_ID.number ? ROOT_INO : id.index
    const log = this.logs.find(id.log)
    return log === undefined
      ? undefined
      : this.#identities.get(id.index, identitySub(log, id.number))
  }

  /** Remembers (or, without a number, forgets) what an identity stands for. */
  identify(id: OperationId, ino: number | undefined): void {
    const sub = identitySub(this.logs.numberOf(id.log), id.number)
    if (ino === undefined) this.#identities.delete(id.index, sub)
    else this.#identities.put(id.index, sub, ino)
  }

  /** @returns a number that no inode of this index ever had, the same for the same operations */
  nextIno(): number {
    return this.#next(META_NEXT_INO, ROOT_INO + 1)
  }

  /** Makes a log known. @returns its local number */
  addLog(key: LogKey): number {
    const known = this.logs.find(key)
    if (known !== undefined) return known
    const number = this.logs.add(key)
    this.#cursors.put(number, '', { log: key, length: 0, treeHash: new Uint8Array(0) })
    return number
  }

  /** How far the index has come in a log; zero for one it does not know. */
  cursor(key: LogKey): Cursor {
    const number = this.logs.find(key)
    const cursor = number === undefined ? undefined : this.#cursors.get(number)
    return cursor ?? { log: key, length: 0, treeHash: new Uint8Array(0) }
  }

  /** The logs that the index has applied entries of. */
  *appliedLogs(): Iterable<LogKey> {
    for (let number = 1; number < this.logs.count; number++) {
      const key = this.logs.keyOf(number)
      if (this.cursor(key).length > 0) yield key
    }
  }

  /** Whether an entry was passed over: blocks that it named are not known as recorded. */
  get hasGaps(): boolean {
    return this.#meta.get(META_HAS_GAPS) !== undefined
  }

  /** Says that an entry was passed over. */
  setGaps(): void {
    this.#meta.put(META_HAS_GAPS, '', 1)
  }

  /**
   * Makes a file that has no name (O_TMPFILE). No operation records it until it gets one; until
   * then its identity is its number, under the root's log, and it is lost when the process ends.
   *
   * @returns the inode
   */
  addNameless(attributes: Pick<InodeRecord, 'mode' | 'uid' | 'gid'>, time: Timestamp): InodeRecord {
    const ino = this.#next(META_NEXT_NAMELESS, NAMELESS_INO_FIRST)
    const id = { log: ROOT_ID.log, index: ino, number: NAMELESS_NUMBER }
    const times = { atime: time, mtime: time, ctime: time }
    const record: InodeRecord = {
      ...ROOT_RECORD,
      ...attributes,
      ...times,
      ino,
      id,
      version: id,
      kind: 'file'
    }
    this.inodes.put(ino, '', record)
    this.orphans.put(ino, '', true)
    return record
  }

  /** Removes what is left of an inode that has no name. */
  purge(ino: number, sec: number): void {
    this.content.purge(ino, sec)
    for (const name of this.xattrs.entries(ino).keys()) this.xattrs.delete(ino, name)
    const record = this.inodes.get(ino)
    if (record && record.id.log !== ROOT_ID.log) this.identify(record.id, undefined)
    this.inodes.delete(ino)
    this.orphans.delete(ino)
  }

  /** Removes every inode that has no name: at start none is open. */
  purgeOrphans(sec: number): void {
    for (const ino of this.orphans.between(0, Number.MAX_SAFE_INTEGER).keys()) this.purge(ino, sec)
  }

  /** Whether changes were set apart and are not in the store yet. */
  get isFrozen(): boolean {
    return this.#tables.isFrozen
  }

  /** Sets what was applied so far apart; {@link TreeIndex.write} then writes it. */
  freeze(): void {
    this.#tables.freeze()
  }

  /**
   * Writes what was frozen, with the cursors as they were at that moment. May be repeated after
   * an error.
   *
   * @returns when it survives `kill -9`
   */
  async write(cursors: readonly Cursor[]): Promise<void> {
    for (const cursor of cursors)
      this.#cursors.putFrozen(this.logs.numberOf(cursor.log), '', cursor)
    await this.#tables.write()
  }

  #next(counter: number, first: number): number {
    const ino = this.#meta.get(counter) ?? first
    this.#meta.put(counter, '', ino + 1)
    return ino
  }

  #isUsable(): boolean {
    try {
      if (this.#meta.get(META_VERSION) !== INDEX_VERSION) return false
      const cursors = [...this.#cursors.between(1, 2 ** 16)].sort(([left], [right]) => left - right)
      for (const [number, rows] of cursors) {
        const cursor = rows.get('')
        if (cursor === undefined || this.logs.add(cursor.log) !== number) return false
      }
      return this.inodes.get(ROOT_INO) !== undefined
    } catch (error) {
      if (error instanceof SyncError || error instanceof CryptoError) return false
      throw error
    }
  }
}

const EPOCH = { sec: 0, nsec: 0 }

/** The root directory before the first operation. */
const ROOT_RECORD: InodeRecord = {
  ...{
    ino: ROOT_INO,
    id: ROOT_ID,
    version: ROOT_ID,
    kind: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    rdev: 0
  },
  ...{ size: 0, allocated: 0, atime: EPOCH, mtime: EPOCH, ctime: EPOCH, links: [] },
  ...{ children: 0, subdirectories: 0, xattrs: 0, target: new Uint8Array(0) }
}

const NUMBER_FORMAT = {
  encode(value: number): Uint8Array {
    const out = new ByteWriter(8)
    out.varint(value)
    return out.view()
  },
  decode: (bytes: Uint8Array): number => new ByteReader(bytes).varint()
}

const NAME_KINDS: readonly NameRecord['kind'][] = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character',
  'block'
]

function encodeName(record: NameRecord): Uint8Array {
  const out = new ByteWriter(16 + record.name.length)
  out.u8(NAME_KINDS.indexOf(record.kind))
  out.varint(record.ino)
  out.u8(record.name.length)
  out.latin1(record.name)
  return out.view()
}

function decodeName(bytes: Uint8Array): NameRecord {
  const reader = new ByteReader(bytes)
  const kind = NAME_KINDS[reader.u8()]
  if (kind === undefined) throw new SyncError('DAMAGED', 'a row of the index has an unknown kind')
  return { kind, ino: reader.varint(), name: reader.latin1(reader.u8()) as Name }
}

function encodeXattr(record: XattrRecord): Uint8Array {
  const out = new ByteWriter(8 + record.name.length + record.value.length)
  out.u8(record.name.length)
  out.latin1(record.name)
  out.bytes(record.value)
  return out.view()
}

function decodeXattr(bytes: Uint8Array): XattrRecord {
  const reader = new ByteReader(bytes)
  return { name: reader.latin1(reader.u8()) as Name, value: reader.bytes(reader.remaining).slice() }
}

function encodeCursor(cursor: Cursor): Uint8Array {
  const out = new ByteWriter(128)
  out.latin1(cursor.log)
  out.varint(cursor.length)
  out.bytes(cursor.treeHash)
  return out.view()
}

function decodeCursor(bytes: Uint8Array): Cursor {
  const reader = new ByteReader(bytes)
  const log = logKey(reader.latin1(64))
  const length = reader.varint()
  return { log, length, treeHash: reader.bytes(reader.remaining).slice() }
}

function identitySub(log: number, number: number): string {
  return String.fromCharCode(
    log >> 8,
    log & 0xff,
    (number >>> 24) & 0xff,
    (number >>> 16) & 0xff,
    (number >>> 8) & 0xff,
    number & 0xff
  )
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
