/**
 * The index: the tree as it is now, kept step by step as operations are applied, and equal
 * after every step to what the oracle computes from the whole set. It is a cache of the logs:
 * whatever it holds can be made anew from them.
 *
 * Reads are synchronous and see every applied operation at once. What has been applied stays in
 * memory until {@link TreeIndex.flush} writes it together with the cursors, in one batch, so
 * that the store never holds an operation that the logs lack.
 *
 * The state is a function of the set of merged entries, in whatever order they came, as long as
 * what an entry had seen came before it. Most of it joins step by step. What does not is marked
 * and resolved by {@link TreeIndex.settle}: files that several changed who had not seen each
 * other are derived anew from their history, moves of directories are replayed in order, and
 * names that several want are shared out.
 *
 * @module
 */
import { CryptoError } from '../crypto/crypto-error.ts'
import type { RowSealer } from '../crypto/row-sealer.ts'
import { NO_BYTES } from '../crypto/slab.ts'
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import { ContentIndex } from './content-index.ts'
import { DirectoryMoves } from './directory-moves.ts'
import { newDirectory } from './directory-state.ts'
import { EntryCausality, type RecordedEntry } from './entry-causality.ts'
import { FileFamilies } from './file-families.ts'
import { deriveFamily, type FamilyEvent, type VersionEvent } from './file-family.ts'
import { foldVersion, type VersionRun } from './fold-version.ts'
import { decodeInode, encodeInode, type InodeRecord } from './inode-record.ts'
import type { KeyValueStore } from './key-value-store.ts'
import { LogNumbers } from './log-numbers.ts'
import { logKey, type LogKey } from './log.ts'
import { decodeNameRow, encodeNameRow, type NameRow } from './name-row.ts'
import { NamesView, type Conflict, type ShownName } from './names-view.ts'
import { isMkdir, OperationHistory } from './operation-history.ts'
import { readId, sameId, writeId } from './operation-id.ts'
import {
  ROOT_ID,
  type InodeId,
  type Name,
  type OperationId,
  type Piece,
  type VersionId
} from './operation.ts'
import { settleFamily, type FamilyChange } from './settle-family.ts'
import { StatementTable } from './statement-table.ts'
import { SyncError } from './sync-error.ts'
import { TableSet, type Table } from './table.ts'
import { moveDirectories } from './tree-links.ts'
import type { TreeRows, XattrRecord } from './tree-rows.ts'
import type { ChangedName, ViewChanges } from './view-changes.ts'

/** The root directory's inode number. */
export const ROOT_INO = 1

/** Version of the rows; an index of another version is made anew. */
const INDEX_VERSION = 2

const TABLE_META = 0
const TABLE_INODE = 1
const TABLE_NAME = 2
const TABLE_XATTR = 5
const TABLE_ORPHAN = 9
const TABLE_CURSOR = 10
const TABLE_DIRECTORY_XATTR = 17

/** The operation number that marks the local identity of a file without a name. */
const NAMELESS_NUMBER = 1

const META_VERSION = 0
const META_NEXT_INO = 1
const META_NEXT_NAMELESS = 2
const META_HAS_GAPS = 3
const META_LAMPORT = 4

/**
 * The first number of a file without a name. No operation records such a file, so it must not
 * take a number from the others: they would be numbered otherwise when the logs are read again.
 */
const NAMELESS_INO_FIRST = 2 ** 52

/** How far the index has come in one log. */
export interface Cursor {
  /** The log. */
  readonly log: LogKey
  /** How many of its entries are applied. */
  readonly length: number
  /** The log's tree hash at that length, 32 bytes. */
  readonly treeHash: Uint8Array
}

export type { XattrRecord } from './tree-rows.ts'
export type { RecordedEntry } from './entry-causality.ts'
export type { Conflict, ShownName } from './names-view.ts'

/** A version of a file's content. */
export interface FileVersion {
  /** Its identity. */
  readonly id: VersionId
  /** When it was made. */
  readonly time: Timestamp
  /** Size in bytes. */
  readonly size: number
  /** Name of the device that made it. */
  readonly device: string
}

/** The last change of an extended attribute of a directory. */
interface DirectoryXattr {
  readonly name: Name
  readonly by: OperationId
}

/** The tree as rows. {@link applyOperation} is what changes it. */
export class TreeIndex implements TreeRows {
  /** Local numbers of the logs that rows name. */
  readonly logs = new LogNumbers()
  /** Where the bytes of files are. */
  readonly content: ContentIndex
  /** Statements about members and envelopes of keys. */
  readonly statements: StatementTable
  /** Inodes by number. */
  readonly inodes: Table<InodeRecord>
  /** Claims to names by directory and name. */
  readonly names: Table<NameRow>
  /** Extended attributes by inode and name. */
  readonly xattrs: Table<XattrRecord>
  /**
   * Inodes that have no name but are still open, or were when the process died, with what took
   * the last name; those that never had one with {@link ROOT_ID}.
   */
  readonly orphans: Table<OperationId>
  /** Who had seen what. */
  readonly causality: EntryCausality
  /** Every operation that counts. */
  readonly history: OperationHistory
  /** Families of files. */
  readonly families: FileFamilies
  /** Moves of directories. */
  readonly moves: DirectoryMoves
  /** Names as they are shown. */
  readonly view: NamesView
  readonly #tables: TableSet
  readonly #meta: Table<number>
  readonly #cursors: Table<Cursor>
  readonly #directoryXattrs: Table<DirectoryXattr>
  /** Families to be derived anew, and who changed them. */
  #marked = new Map<number, FamilyChange>()
  #changes = noChanges()
  #deviceOf: (log: LogKey) => string = () => ''

  private constructor(store: KeyValueStore, sealer: RowSealer) {
    const tables = new TableSet({ store, sealer })
    this.#tables = tables
    this.content = new ContentIndex(tables, this.logs)
    this.statements = new StatementTable(tables, this.logs)
    this.causality = new EntryCausality(tables, this.logs)
    this.history = new OperationHistory(tables, this.logs)
    const byName = {
      storedSub: (group: number, name: string) => sealer.hashName(group, name)
    }
    this.inodes = tables.table({
      number: TABLE_INODE,
      encode: (out, record) => encodeInode(out, record, this.logs),
      decode: bytes => decodeInode(bytes, this.logs)
    })
    this.names = tables.table<NameRow>({
      number: TABLE_NAME,
      encode: (out, row) => encodeNameRow(out, row, this.logs),
      decode: bytes => decodeNameRow(bytes, this.logs),
      ...byName,
      subOf: row => row.name
    })
    this.xattrs = tables.table<XattrRecord>({
      number: TABLE_XATTR,
      encode: encodeXattr,
      decode: decodeXattr,
      ...byName,
      subOf: record => record.name
    })
    this.#directoryXattrs = tables.table<DirectoryXattr>({
      number: TABLE_DIRECTORY_XATTR,
      encode: (out, row) => encodeDirectoryXattr(out, row, this.logs),
      decode: bytes => decodeDirectoryXattr(bytes, this.logs),
      ...byName,
      subOf: row => row.name
    })
    this.families = new FileFamilies(tables, this.logs, this.inodes)
    this.moves = new DirectoryMoves(tables, this.logs, {
      causality: this.causality,
      placeOf: ino => this.inodes.get(ino)?.directory?.place
    })
    const { names, inodes, causality } = this
    const authorOf = (id: OperationId) => ({
      device: this.#deviceOf(id.log),
      time: causality.timeOf(id)
    })
    this.view = new NamesView(tables, { names, inodes, causality, authorOf }, byName)
    this.view.onRegrouped = ino => this.noteAttributes(ino)
    this.#meta = tables.table({ number: TABLE_META, ...NUMBER_FORMAT })
    this.orphans = tables.table<OperationId>({
      number: TABLE_ORPHAN,
      encode: (out, id) => encodeId(out, id, this.logs),
      decode: bytes => readId(new ByteReader(bytes), this.logs)
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

  /** @returns the row of an inode. @throws {SyncError} `MISSING` */
  record(ino: number): InodeRecord {
    const record = this.inodes.get(ino)
    if (record === undefined) throw new SyncError('MISSING', 'no such inode')
    return record
  }

  /**
   * The inode as it is shown. Any member's number stands for directories shown as one; attributes
   * are those of the first.
   *
   * @throws {SyncError} `MISSING`
   */
  inode(ino: number): InodeRecord {
    const record = this.findInode(ino)
    if (record === undefined) throw new SyncError('MISSING', 'no such inode')
    return record
  }

  /** @returns the inode as it is shown, or undefined if it is not known */
  findInode(ino: number): InodeRecord | undefined {
    this.#resolve()
    const record = this.inodes.get(ino)
    if (!record || this.view.isPlain) return record
    if (record.kind === 'directory') return this.#shownDirectory(ino)
    return { ...record, links: record.links.map(link => this.view.shownLink(link)) }
  }

  /** What a name in a directory stands for. */
  lookup(directory: number, name: Name): ShownName | undefined {
    this.#resolve()
    return this.view.lookup(directory, name)
  }

  /** Everything in a directory by name, in no particular order. */
  list(directory: number): ReadonlyMap<Name, ShownName> {
    this.#resolve()
    return this.view.list(directory)
  }

  /** The directory that a directory is in; undefined for the root and for one without a name. */
  parentOf(directory: number): number | undefined {
    return this.findInode(directory)?.links[0]?.parent
  }

  /** An extended attribute of an inode as it is shown. */
  xattr(ino: number, name: Name): XattrRecord | undefined {
    return this.xattrs.get(this.view.membersOf(ino)[0] ?? ino, name)
  }

  /** All extended attributes of an inode as it is shown, by name. */
  xattrsOf(ino: number): ReadonlyMap<Name, XattrRecord> {
    const first = this.view.membersOf(ino)[0] ?? ino
    return this.xattrs.entries(first) as Map<Name, XattrRecord>
  }

  /** Every name that nobody wrote. */
  conflicts(): Iterable<Conflict> {
    this.#resolve()
    return this.view.conflicts()
  }

  /** The first conflict name of an inode, if it has one. */
  conflictOf(ino: number): Conflict | undefined {
    const shown = this.findInode(ino)
    for (const { parent, name } of shown?.links ?? []) {
      for (const conflict of this.view.conflictsIn(parent)) {
        if (conflict.name === name) return conflict
      }
    }
    return undefined
  }

  /** The versions of a file, oldest first. */
  versions(ino: number): readonly FileVersion[] {
    return this.#lineageOf(ino).map(({ id, operation }) => ({
      ...{ id, time: operation.time, device: this.#deviceOf(id.log) },
      size: operation.type === 'create' ? operation.target.length : operation.size
    }))
  }

  /**
   * Where the bytes of a version of a file are: ascending, holes left out.
   *
   * @throws {SyncError} `MISSING` when the file has no such version
   */
  runsOf(ino: number, version: VersionId): readonly VersionRun[] {
    const lineage = this.#lineageOf(ino)
    const at = lineage.findIndex(({ id }) => sameId(id, version))
    if (at < 0) throw new SyncError('MISSING', 'the file has no such version')
    return foldVersion(lineage.slice(0, at + 1), this.logs)
  }

  /** Attested device name of a log, for conflict names. Set by the replica. */
  set deviceOf(deviceOf: (log: LogKey) => string) {
    this.#deviceOf = deviceOf
    this.view.renewConflictNames()
  }

  /** Attested device name of a log. */
  get deviceOf(): (log: LogKey) => string {
    return this.#deviceOf
  }

  /**
   * Makes an entry known before its operations are applied, or gives the open one the values that
   * it was sealed with. Its lamport must not change by that.
   */
  recordEntry(entry: RecordedEntry): void {
    this.addLog(entry.log)
    for (const log of entry.seen.keys()) this.addLog(log)
    const wasOpen = this.causality.isOpen(entry)
    const isNews = this.causality.record(entry)
    if (wasOpen) this.view.closeEntry(isNews)
    this.#meta.put(META_LAMPORT, '', this.causality.highestLamport)
  }

  /** What was recorded of an entry; undefined if it is not known or was passed over. */
  recordedEntry(log: LogKey, index: number): RecordedEntry | undefined {
    return this.causality.entry(log, index)
  }

  /** The number after the highest that an inode with a recorded name has. */
  get inoEnd(): number {
    return this.#meta.get(META_NEXT_INO) ?? ROOT_INO + 1
  }

  /** Makes known the entry that local operations are gathered in; it has seen all that is merged. */
  openEntry({ log, index, time }: Pick<RecordedEntry, 'log' | 'index' | 'time'>): void {
    this.addLog(log)
    this.causality.open(log, index, time)
    this.#meta.put(META_LAMPORT, '', this.causality.highestLamport)
  }

  /** Resolves what was applied since the last call. @returns what changed in the tree as shown */
  settle(): ViewChanges {
    this.#resolve()
    if (!this.view.isTracking) return NOTHING
    const changes = this.#changes
    // Attributes of directories shown as one are those of a member, known by another's number.
    for (const ino of [...changes.attributes]) changes.attributes.add(this.view.shownOf(ino))
    this.#changes = noChanges()
    this.view.isTracking = false
    return changes
  }

  /** Called before each operation: its entry must be known. An unknown one is opened. */
  beforeOperation(id: OperationId): void {
    if (!this.causality.knows(id)) this.openEntry({ ...id, time: EPOCH })
    if (!this.causality.isOpen(id) || !this.view.isPlain) this.view.isTracking = true
  }

  /** Has a family derived anew by the next {@link TreeIndex.settle}. */
  markFamily(number: number, { id, operation }: FamilyEvent, change: FamilyChange): void {
    const isLocal = change.isLocal || (this.#marked.get(number)?.isLocal ?? false)
    this.#marked.set(number, { ...change, isLocal })
    // Also where it was done here: it may give a removed file its name back.
    this.view.isTracking = true
    if (operation.type !== 'write') return
    for (const piece of operation.pieces) {
      if (piece.kind === 'block') this.content.recordUse(piece, operation.time.sec, id)
    }
  }

  /** How many families wait to be derived anew. */
  get markedCount(): number {
    return this.#marked.size
  }

  /** Derives anew the families that wait for it; {@link TreeIndex.settle} does the rest. */
  settleFamilies(): void {
    if (this.#marked.size === 0) return
    const marked = this.#marked
    this.#marked = new Map()
    for (const [number, change] of marked) {
      const family = this.families.get(number)
      if (family) settleFamily(this, family, change)
    }
  }

  /** Whether a family will be derived anew. */
  isMarked(number: number): boolean {
    return this.#marked.has(number)
  }

  /** Says that attributes, links or xattrs of an inode changed. */
  noteAttributes(ino: number): void {
    if (this.view.isTracking) this.#changes.attributes.add(ino)
  }

  /** Says that the content of a file changed. */
  noteContent(ino: number): void {
    if (this.view.isTracking) this.#changes.content.add(ino)
  }

  /** @returns the inode number of a directory by its identity, or undefined if it is not known */
  directoryOf(id: InodeId): number | undefined {
    if (id.log === ROOT_ID.log) return isRoot(id) ? ROOT_INO : undefined
    const row = this.history.find(id)
    return row && isMkdir(row) ? row.steps[0]?.family : undefined
  }

  /** @returns the inode number of an identity, or undefined if it is not (or no longer) known */
  find(id: InodeId): number | undefined {
    this.#resolve()
    if (id.log === ROOT_ID.log) return isRoot(id) ? ROOT_INO : id.index
    const row = this.history.find(id)
    const number = row?.steps[0]?.family
    if (!row || number === undefined) return undefined
    if (isMkdir(row)) return number
    const inos = this.families.get(number)?.inos ?? []
    return inos.find(ino => sameId(this.record(ino).id, id))
  }

  /** Sets an extended attribute of a directory, or removes it, unless a later operation did. */
  setDirectoryXattr(
    ino: number,
    name: Name,
    { value, by }: { readonly value: Uint8Array | undefined; readonly by: OperationId }
  ): void {
    const last = this.#directoryXattrs.get(ino, name)
    if (last && this.causality.compare(by, last.by) < 0) return
    this.#directoryXattrs.put(ino, name, { name, by })
    const before = this.xattrs.get(ino, name) ? 1 : 0
    if (value) this.xattrs.put(ino, name, { name, value })
    else this.xattrs.delete(ino, name)
    const record = this.record(ino)
    const xattrs = record.xattrs + (value ? 1 : 0) - before
    if (xattrs !== record.xattrs) this.inodes.put(ino, '', { ...record, xattrs })
  }

  /** Makes the content logs of pieces known. */
  addContentLogs(pieces: readonly Piece[]): void {
    for (const piece of pieces) if (piece.kind === 'block') this.addLog(piece.log)
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
    const id = this.namelessId(ino)
    const times = { atime: time, mtime: time, ctime: time }
    const record: InodeRecord = {
      ...NO_ATTRIBUTES,
      ...attributes,
      ...times,
      ino,
      id,
      version: id,
      kind: 'file'
    }
    this.inodes.put(ino, '', record)
    this.orphans.put(ino, '', ROOT_ID)
    return record
  }

  /** The identity of a file that no operation records. */
  namelessId(ino: number): InodeId {
    return { log: ROOT_ID.log, index: ino, number: NAMELESS_NUMBER }
  }

  /** Removes what is left of a file that has no name; of a directory something always stays. */
  purge(ino: number, sec: number): void {
    this.removeInode(ino, sec, this.orphans.get(ino) ?? ROOT_ID)
  }

  /** Removes an inode. @param by - the operation that took its last name */
  removeInode(ino: number, sec: number, by: OperationId): void {
    const record = this.inodes.get(ino)
    if (record?.kind === 'directory') return
    this.content.purge(ino, sec, by)
    for (const name of this.xattrs.entries(ino).keys()) this.xattrs.delete(ino, name)
    if (record) this.families.dropInode(record)
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
    this.#resolve()
    this.#tables.freeze()
  }

  /**
   * Writes what was frozen, with the cursors as they were at that moment. May be repeated after
   * an error.
   *
   * @param pause - awaited now and then, so that others have their turn
   * @returns when it survives `kill -9`
   */
  async write(cursors: readonly Cursor[], pause?: () => Promise<void>): Promise<void> {
    for (const cursor of cursors)
      this.#cursors.putFrozen(this.logs.numberOf(cursor.log), '', cursor)
    await this.#tables.write(pause)
  }

  /** Derives, replays and shares out what is waiting for it. */
  #resolve(): void {
    this.settleFamilies()
    if (this.moves.isDirty) moveDirectories(this, this.moves.replay())
    if (this.view.isDirty || this.view.isTracking) this.#changes.names.push(...this.view.settle())
  }

  #shownDirectory(ino: number): InodeRecord {
    const members = this.view.membersOf(ino).map(member => this.record(member))
    const [first = this.record(ino)] = members
    const merged = this.view.mergedIn(this.view.shownOf(ino))
    let [children, subdirectories] = [-merged, -merged]
    for (const member of members) {
      children += member.children
      subdirectories += member.subdirectories
    }
    const links = members.flatMap(member => member.links.map(link => this.view.shownLink(link)))
    return { ...first, ino: this.view.shownOf(ino), children, subdirectories, links }
  }

  #lineageOf(ino: number): readonly VersionEvent[] {
    this.#resolve()
    const { version, family: member } = this.inode(ino)
    const family = member && this.families.get(member.number)
    if (!family) return []
    const files = deriveFamily(
      [...this.history.eventsOf(family.number, family.last)],
      this.causality
    )
    return files.find(({ tip }) => sameId(tip, version))?.lineage() ?? []
  }

  #next(counter: number, first: number): number {
    const ino = this.#meta.get(counter) ?? first
    this.#meta.put(counter, '', ino + 1)
    return ino
  }

  #resume(): void {
    const logs = [...this.appliedLogs()]
    this.causality.resume({
      highestLamport: this.#meta.get(META_LAMPORT) ?? 0,
      heads: logs.map(log => [log, this.cursor(log).length])
    })
    this.view.resume()
  }

  #isUsable(): boolean {
    try {
      if (this.#meta.get(META_VERSION) !== INDEX_VERSION) return false
      const cursors = [...this.#cursors.between(1, 2 ** 16)].sort(([left], [right]) => left - right)
      for (const [number, rows] of cursors) {
        const cursor = rows.get('')
        if (cursor === undefined || this.logs.add(cursor.log) !== number) return false
      }
      if (this.inodes.get(ROOT_INO) === undefined) return false
      this.#resume()
      return true
    } catch (error) {
      if (error instanceof SyncError || error instanceof CryptoError) return false
      throw error
    }
  }
}

const EPOCH = { sec: 0, nsec: 0 }

/** What a file without a name has of its own before anything is set. */
const NO_ATTRIBUTES = {
  ...{ rdev: 0, size: 0, allocated: 0, links: [], target: NO_BYTES },
  ...{ children: 0, subdirectories: 0, xattrs: 0 }
}

/** The root directory before the first operation. */
const ROOT_RECORD: InodeRecord = {
  ...{ ...NO_ATTRIBUTES, ino: ROOT_INO, id: ROOT_ID, version: ROOT_ID, kind: 'directory' },
  ...{ mode: 0o755, uid: 0, gid: 0, atime: EPOCH, mtime: EPOCH, ctime: EPOCH },
  directory: newDirectory(ROOT_ID, undefined)
}

function noChanges(): {
  readonly names: ChangedName[]
  readonly attributes: Set<number>
  readonly content: Set<number>
} {
  return { names: [], attributes: new Set(), content: new Set() }
}

/** What an operation made here changes: who made it knows. */
const NOTHING: ViewChanges = noChanges()

function isRoot({ index, number }: InodeId): boolean {
  return index === ROOT_ID.index && number === ROOT_ID.number
}

const NUMBER_FORMAT = {
  encode: (out: ByteWriter, value: number): void => out.varint(value),
  decode: (bytes: Uint8Array): number => new ByteReader(bytes).varint()
}

function encodeXattr(out: ByteWriter, record: XattrRecord): void {
  out.u8(record.name.length)
  out.latin1(record.name)
  out.bytes(record.value)
}

function decodeXattr(bytes: Uint8Array): XattrRecord {
  const reader = new ByteReader(bytes)
  return { name: reader.latin1(reader.u8()) as Name, value: reader.bytes(reader.remaining).slice() }
}

function encodeDirectoryXattr(out: ByteWriter, row: DirectoryXattr, logs: LogNumbers): void {
  out.u8(row.name.length)
  out.latin1(row.name)
  writeId(out, row.by, logs)
}

function decodeDirectoryXattr(bytes: Uint8Array, logs: LogNumbers): DirectoryXattr {
  const reader = new ByteReader(bytes)
  return { name: reader.latin1(reader.u8()) as Name, by: readId(reader, logs) }
}

function encodeId(out: ByteWriter, id: OperationId, logs: LogNumbers): void {
  writeId(out, id, logs)
}

function encodeCursor(out: ByteWriter, cursor: Cursor): void {
  out.latin1(cursor.log)
  out.varint(cursor.length)
  out.bytes(cursor.treeHash)
}

function decodeCursor(bytes: Uint8Array): Cursor {
  const reader = new ByteReader(bytes)
  const log = logKey(reader.latin1(64))
  const length = reader.varint()
  return { log, length, treeHash: reader.bytes(reader.remaining).slice() }
}
