/**
 * Names as directories show them. Rows hold claims by directory and name; what is shown follows:
 *
 * - Directories made at one place are shown as one, as are those that one operation moved there:
 *   a *union*. The number shown for it is the lowest of its members', the one that was known here
 *   first, and every member's number stands for it.
 * - Of several claims to a name of a directory as it is shown one keeps it. The others get
 *   conflict names, given in the order of the claims, where nothing else stands.
 *
 * Most directories have neither. Unions and contested names are kept in memory, and in rows so
 * that they need not be looked for at the next start; conflict names are made when first asked
 * for.
 *
 * @module
 */
import { ByteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { Timestamp } from './clock.ts'
import { conflictName, resemblesConflictName } from './conflict-name.ts'
import { ConflictNames } from './conflict-names.ts'
import type { EntryCausality } from './entry-causality.ts'
import type { Causality } from './file-family.ts'
import type { InodeRecord, LinkRecord } from './inode-record.ts'
import { CLAIM_RANKS, type Claim, type NameRow } from './name-row.ts'
import { sameId } from './operation-id.ts'
import type { LinkId, Name, OperationId } from './operation.ts'
import type { Table, TableSet } from './table.ts'
import type { ChangedName } from './view-changes.ts'

const TABLE_UNION = 15
const TABLE_CONTESTED = 16

/** A name as a directory shows it. */
export interface ShownName {
  /** The name. */
  readonly name: Name
  /** The inode it stands for; of directories shown as one the number shown. */
  readonly ino: number
  /** What it stands for; listings need it without reading the inode. */
  readonly kind: InodeRecord['kind']
  /** Its links; several for directories shown as one, in order. */
  readonly links: readonly LinkId[]
  /** Whether it is a conflict name that nobody wrote. */
  readonly isGenerated: boolean
}

/** A name that nobody wrote: what it wanted was taken. */
export interface Conflict {
  /** Inode number of the directory as it is shown. */
  readonly directory: number
  /** The generated name. */
  readonly name: Name
  /** What it stands for. */
  readonly ino: number
  /** The name it wanted. */
  readonly original: Name
  /** Name of the device whose operation wanted it. */
  readonly otherDevice: string
}

/** What names are shown from. */
export interface NamesViewParts {
  /** Rows of names; changed through the view only. */
  readonly names: Table<NameRow>
  /** Inodes. */
  readonly inodes: Table<InodeRecord>
  /** The order of operations, and which of them are in the entry that is not sealed yet. */
  readonly causality: Pick<Causality, 'compare'> & Pick<EntryCausality, 'isOpen'>
  /** Who wrote an operation, and when. */
  readonly authorOf: (id: OperationId) => { readonly device: string; readonly time: Timestamp }
}

/** Claims that are shown as one thing. */
interface Group {
  readonly rank: number
  readonly by: OperationId
  /** In order of their links. */
  readonly claims: readonly [Claim, ...Claim[]]
}

/** See the module comment. */
export class NamesView {
  /** Whether changes are gathered for {@link NamesView.settle}. */
  isTracking = false
  /** Told of directories that are shown with others than before, or alone. Set by the index. */
  onRegrouped: (ino: number) => void = () => undefined
  readonly #parts: NamesViewParts
  readonly #unionRows: Table<readonly number[]>
  readonly #contestedRows: Table<Name>
  /** For each member of a union all of them, in order. */
  readonly #unions = new Map<number, readonly number[]>()
  /** By shown directory the names that several want. */
  readonly #contested = new Map<number, Set<Name>>()
  /** By shown directory and name by how many fewer directories are shown there than there are. */
  readonly #merged = new Map<number, Map<Name, number>>()
  /** By shown directory its conflict names; made when first asked for. */
  readonly #conflicts = new Map<number, ConflictNames<Group>>()
  /** Names of a shown directory whose claims are to be named anew. */
  readonly #renewed = new Map<number, Set<Name>>()
  #dirty = new Map<number, Set<Name>>()
  /** Names that operations of the open entry claim: its time, which names tell, is not final. */
  readonly #claimedByOpen = new Map<number, Set<Name>>()
  readonly #loose = new Set<number>()
  readonly #before = new Map<number, Map<Name, number | undefined>>()
  /** Directories that are shown with others than before, and the number shown before. */
  readonly #regrouped = new Map<number, number>()

  /** @param tables - where its tables are added */
  constructor(tables: TableSet, parts: NamesViewParts, storedSub: SubFormat) {
    this.#parts = parts
    this.#unionRows = tables.table({
      number: TABLE_UNION,
      encode: encodeNumbers,
      decode: decodeNumbers
    })
    this.#contestedRows = tables.table({
      number: TABLE_CONTESTED,
      encode: encodeName,
      decode: decodeName,
      storedSub: storedSub.storedSub,
      subOf: name => name
    })
  }

  /** Takes up where an index that was written left off. */
  resume(): void {
    const everything = [0, Number.MAX_SAFE_INTEGER] as const
    for (const [ino, rows] of this.#unionRows.between(...everything)) {
      const members = rows.get('')
      if (members) this.#unions.set(ino, members)
    }
    for (const [directory, rows] of this.#contestedRows.between(...everything)) {
      this.#contested.set(directory, new Set(rows.values()))
    }
    for (const members of new Set(this.#unions.values())) {
      const link = this.#parts.inodes.get(members[0] ?? 0)?.links[0]
      if (link && members[0] !== undefined && this.#unions.get(members[0]) === members) {
        this.#setMerged(this.shownOf(link.parent), link.name, members.length - 1)
      }
    }
  }

  /** Whether any directory shows something else than its rows say. */
  get isPlain(): boolean {
    return this.#unions.size === 0 && this.#contested.size === 0
  }

  /** Whether something changed that {@link NamesView.settle} must resolve. */
  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#loose.size > 0
  }

  /** The number that is shown for a directory. */
  shownOf(ino: number): number {
    const members = this.#unions.get(ino)
    return members ? Math.min(...members) : ino
  }

  /** The directories that are shown as one with a directory, itself included, in order. */
  membersOf(ino: number): readonly number[] {
    return this.#unions.get(ino) ?? [ino]
  }

  /** How many more names the rows of a shown directory have than it shows; all directories. */
  mergedIn(shown: number): number {
    let count = 0
    for (const merged of this.#merged.get(shown)?.values() ?? []) count += merged
    return count
  }

  /** What a name stands for. */
  lookup(directory: number, name: Name): ShownName | undefined {
    if (!this.#unions.has(directory) && !this.#contested.has(directory)) {
      const row = this.#parts.names.get(directory, name)
      const [claim] = row?.claims ?? []
      if (!claim) return undefined
      if (row?.claims.length === 1) return this.#shownClaim(name, claim)
    }
    const shown = this.shownOf(directory)
    const [winner] = this.#groupsAt(shown, name)
    if (winner) return this.#shownName(name, winner, false)
    const loser = this.#conflictNames(shown)?.names.get(name)
    return loser && this.#shownName(name, loser.group, true)
  }

  /** Everything a directory shows, by name, in no particular order. */
  list(directory: number): Map<Name, ShownName> {
    const listed = new Map<Name, ShownName>()
    const shown = this.shownOf(directory)
    for (const member of this.membersOf(directory)) {
      for (const { name } of this.#parts.names.entries(member).values()) {
        const found = listed.has(name) ? undefined : this.lookup(shown, name)
        if (found) listed.set(name, found)
      }
    }
    for (const [name, { group }] of this.#conflictNames(shown)?.names ?? []) {
      listed.set(name, this.#shownName(name, group, true))
    }
    return listed
  }

  /** A link as it is shown. */
  shownLink(link: LinkRecord): LinkRecord {
    const parent = this.shownOf(link.parent)
    if (!this.#contested.get(parent)?.has(link.name)) {
      return parent === link.parent ? link : { ...link, parent }
    }
    const isOwn = (group: Group | undefined): boolean =>
      group?.claims.some(claim => sameId(claim.link, link.id)) ?? false
    const [winner] = this.#groupsAt(parent, link.name)
    if (isOwn(winner)) return { ...link, parent }
    const loser = this.#conflictNames(parent)
      ?.losersOf(link.name)
      .find(({ group }) => isOwn(group))
    return loser ? { ...link, parent, name: loser.name } : { ...link, parent }
  }

  /** Every name that nobody wrote. */
  *conflicts(): Iterable<Conflict> {
    for (const directory of [...this.#contested.keys()]) yield* this.conflictsIn(directory)
  }

  /** The names of one directory that nobody wrote. */
  *conflictsIn(directory: number): Iterable<Conflict> {
    for (const { name, wanted, group } of this.#conflictNames(directory)?.names.values() ?? []) {
      const { ino } = this.#shownName(name, group, true)
      const { device } = this.#parts.authorOf(group.by)
      yield { directory, name, ino, original: wanted, otherDevice: device }
    }
  }

  /** Whether a link claims a name, in the way that it is to. */
  hasClaim(
    parent: number,
    name: Name,
    { link, by, isBeside }: Pick<Claim, 'link' | 'by'> & { readonly isBeside: boolean }
  ): boolean {
    const claims = this.#parts.names.get(parent, name)?.claims ?? []
    return claims.some(
      claim =>
        sameId(claim.link, link) &&
        sameId(claim.by, by) &&
        (claim.rank === CLAIM_RANKS.branch) === isBeside
    )
  }

  /** Adds a claim to a name. */
  addClaim(parent: number, name: Name, claim: Claim): void {
    this.#beforeChange(parent, name, claim.ino)
    const others = this.#parts.names.get(parent, name)?.claims ?? []
    this.#parts.names.put(parent, name, { name, claims: [...others, claim] })
    if (this.#parts.causality.isOpen(claim.by)) addName(this.#claimedByOpen, parent, name)
    if (others.length > 0) this.#markDirty(parent, name)
  }

  /** Takes a claim back. */
  removeClaim(parent: number, name: Name, { ino, link }: Pick<Claim, 'ino' | 'link'>): void {
    this.#beforeChange(parent, name, ino)
    const before = this.#parts.names.get(parent, name)?.claims ?? []
    const claims = before.filter(claim => !sameId(claim.link, link))
    if (claims.length > 0) {
      this.#parts.names.put(parent, name, { name, claims })
      this.#markDirty(parent, name)
    } else {
      this.#parts.names.delete(parent, name)
    }
    if (this.#unions.has(ino)) this.#loose.add(ino)
  }

  /** Says that the authors of operations, which names tell, are called otherwise. */
  renewConflictNames(): void {
    for (const [directory, names] of this.#contested) {
      for (const name of names) this.#markDirty(directory, name)
    }
  }

  /** Says that the open entry is sealed. @param isLater - whether its time is another than before */
  closeEntry(isLater: boolean): void {
    for (const [directory, names] of this.#claimedByOpen) {
      const contested = this.#contested.get(this.shownOf(directory))
      if (!isLater || !contested) continue
      for (const name of names) if (contested.has(name)) this.#markDirty(directory, name)
    }
    this.#claimedByOpen.clear()
  }

  /** Resolves what was changed. @returns names that may stand for something else than before */
  settle(): ChangedName[] {
    while (this.isDirty) {
      for (const [parent, names] of this.#dirty) {
        this.#dirty.delete(parent)
        for (const name of names) this.#resolve(parent, name)
      }
      for (const ino of this.#loose) {
        this.#loose.delete(ino)
        if (this.#parts.inodes.get(ino)?.links.length === 0) this.#group([ino])
      }
    }
    for (const [shown, names] of this.#renewed) this.#renew(shown, names)
    this.#renewed.clear()
    const changes = this.isTracking ? [...this.#changes()] : []
    for (const [ino, before] of this.#regrouped)
      for (const each of [ino, before]) this.onRegrouped(each)
    this.#before.clear()
    this.#regrouped.clear()
    return changes
  }

  // What stands where.

  /** What wants a name of a shown directory, who keeps it first. */
  #groupsAt(shown: number, name: Name): Group[] {
    const groups: Group[] = []
    const made: Claim[] = []
    const moved = new Map<string, Claim[]>()
    for (const member of this.membersOf(shown)) {
      for (const claim of this.#parts.names.get(member, name)?.claims ?? []) {
        const { rank, by } = claim
        if (rank === CLAIM_RANKS.madeDirectory) made.push(claim)
        else if (rank === CLAIM_RANKS.movedDirectory) {
          const key = `${by.index}.${by.number}.${by.log}`
          moved.set(key, [...(moved.get(key) ?? []), claim])
        } else groups.push({ rank, by, claims: [claim] })
      }
    }
    for (const claims of [made, ...moved.values()]) {
      const [first, ...rest] = claims.sort((left, right) => this.#compare(left.link, right.link))
      if (first) groups.push({ rank: first.rank, by: first.by, claims: [first, ...rest] })
    }
    return groups.length < 2
      ? groups
      : groups.sort((left, right) => left.rank - right.rank || this.#compareGroups(left, right))
  }

  #compareGroups(left: Group, right: Group): number {
    const byPlace = this.#compare(left.by, right.by)
    return byPlace === 0 ? this.#compare(left.claims[0].link, right.claims[0].link) : byPlace
  }

  #compare(left: OperationId, right: OperationId): number {
    return this.#parts.causality.compare(left, right)
  }

  #shownName(name: Name, { claims }: Group, isGenerated: boolean): ShownName {
    const { kind, ino } = claims[0]
    const shown = kind === 'directory' ? this.shownOf(ino) : ino
    return { name, ino: shown, kind, links: claims.map(({ link }) => link), isGenerated }
  }

  #shownClaim(name: Name, { ino, kind, link }: Claim): ShownName {
    const shown = kind === 'directory' ? this.shownOf(ino) : ino
    return { name, ino: shown, kind, links: [link], isGenerated: false }
  }

  /** The conflict names of a shown directory; undefined when it has none. */
  #conflictNames(shown: number): ConflictNames<Group> | undefined {
    const known = this.#conflicts.get(shown)
    const wanted = this.#contested.get(shown)
    if (known || !wanted) return known
    const made = this.#addConflictNames(shown)
    // Not known yet, so that making it is no change.
    made.set(new Map([...wanted].map(name => [name, this.#losersAt(shown, name)])))
    this.#conflicts.set(shown, made)
    return made
  }

  #addConflictNames(shown: number): ConflictNames<Group> {
    const { authorOf } = this.#parts
    const made: ConflictNames<Group> = new ConflictNames<Group>({
      compare: (left, right) => this.#compareGroups(left, right),
      nameOf: (wanted, { by }, attempt) => conflictName(wanted, authorOf(by), attempt),
      isGiven: name => this.#isGiven(shown, name),
      beforeChange: (name, before) => {
        if (this.#conflicts.get(shown) !== made) return
        this.#remember(shown, name, before && this.#shownName(name, before.group, true).ino)
      }
    })
    return made
  }

  #losersAt(shown: number, name: Name): readonly Group[] {
    const [, ...losers] = this.#groupsAt(shown, name)
    return losers
  }

  /** Names those anew that want some names of a shown directory and do not get them. */
  #renew(shown: number, names: ReadonlySet<Name>): void {
    const conflicts = this.#conflicts.get(shown)
    if (!conflicts) return
    // A name that somebody gave or took away may be one that others got or did not get.
    const isOther = [...names].some(resemblesConflictName)
    const all = isOther ? new Set([...names, ...(this.#contested.get(shown) ?? [])]) : names
    const slots = new Map([...all].map(name => [name, this.#losersAt(shown, name)]))
    conflicts.set(slots)
    if (!this.#contested.has(shown)) this.#conflicts.delete(shown)
  }

  #isGiven(shown: number, name: Name): boolean {
    return this.membersOf(shown).some(member => this.#parts.names.get(member, name))
  }

  // Changes.

  #beforeChange(parent: number, name: Name, ino: number): void {
    const shown = this.shownOf(parent)
    if (this.isTracking) {
      this.#keepConflictNames(shown)
      if (!this.#before.get(shown)?.has(name)) {
        this.#remember(shown, name, this.lookup(shown, name)?.ino)
      }
    }
    const isPlain =
      !this.#unions.has(parent) && !this.#contested.has(parent) && !this.#unions.has(ino)
    if (!isPlain) this.#markDirty(parent, name)
  }

  /** What a name stood for when the first change came. */
  #remember(shown: number, name: Name, ino: number | undefined): void {
    if (!this.isTracking) return
    const names = this.#before.get(shown)
    if (!names) this.#before.set(shown, new Map([[name, ino]]))
    else if (!names.has(name)) names.set(name, ino)
  }

  /** Makes the conflict names of a directory as they are, before something changes. */
  #keepConflictNames(shown: number): void {
    if (this.isTracking) this.#conflictNames(shown)
  }

  #markDirty(parent: number, name: Name): void {
    addName(this.#dirty, parent, name)
  }

  /** Brings unions and contested names up to date with what wants a name. */
  #resolve(parent: number, name: Name): void {
    const shown = this.shownOf(parent)
    const groups = this.#groupsAt(shown, name)
    let merged = 0
    for (const { claims } of groups) {
      if (claims[0].kind !== 'directory') continue
      merged += claims.length - 1
      this.#group(claims.map(({ ino }) => ino))
    }
    this.#setMerged(shown, name, merged)
    const wasContested = this.#contested.get(shown)?.has(name) ?? false
    const isContested = groups.length > 1
    if (isContested !== wasContested) this.#setContested(shown, name, isContested)
    const isOther = this.#contested.has(shown) && resemblesConflictName(name)
    if (!isContested && !wasContested && !isOther) return
    addName(this.#renewed, shown, name)
  }

  #setMerged(shown: number, name: Name, merged: number): void {
    const names = this.#merged.get(shown)
    if (merged > 0) {
      if (names) names.set(name, merged)
      else this.#merged.set(shown, new Map([[name, merged]]))
    } else if (names?.delete(name) && names.size === 0) this.#merged.delete(shown)
  }

  #setContested(shown: number, name: Name, isContested: boolean): void {
    const names = this.#contested.get(shown)
    if (!isContested) {
      names?.delete(name)
      if (names?.size === 0) this.#contested.delete(shown)
      return this.#contestedRows.delete(shown, name)
    }
    if (names) names.add(name)
    else {
      this.#contested.set(shown, new Set([name]))
      // Empty, so that those to come are told; without it they are made when asked for.
      const isKnown = this.#conflicts.has(shown)
      if (this.isTracking && !isKnown) this.#conflicts.set(shown, this.#addConflictNames(shown))
    }
    this.#contestedRows.put(shown, name, name)
  }

  /** Shows directories as one, given in order, and none with them. */
  #group(inos: readonly number[]): void {
    if (inos.every(ino => sameNumbers(this.membersOf(ino), inos))) return
    const affected = new Set([...inos, ...inos.flatMap(ino => this.membersOf(ino))])
    for (const ino of affected) this.#forget(ino)
    for (const ino of inos) {
      if (inos.length > 1) {
        this.#unions.set(ino, inos)
        this.#unionRows.put(ino, '', inos)
      } else {
        this.#unions.delete(ino)
        this.#unionRows.delete(ino)
      }
    }
    for (const ino of affected) {
      for (const name of this.#parts.names.entries(ino).keys()) this.#markDirty(ino, name as Name)
      const link = inos.includes(ino) ? undefined : this.#parts.inodes.get(ino)?.links[0]
      if (link) this.#markDirty(link.parent, link.name)
    }
  }

  /** Where a directory is shown, and its conflict names, before it is shown with others. */
  #rememberAsShown(ino: number, shown: number): void {
    if (!this.isTracking) return
    const link = this.#parts.inodes.get(ino)?.links[0]
    const at = link && this.shownLink(link)
    if (at) this.#remember(at.parent, at.name, shown)
    this.#keepConflictNames(shown)
    for (const [name, { group }] of this.#conflicts.get(shown)?.names ?? []) {
      this.#remember(shown, name, this.#shownName(name, group, true).ino)
    }
  }

  /** Drops what is known of the names of a directory that will be shown with others. */
  #forget(ino: number): void {
    const shown = this.shownOf(ino)
    if (this.isTracking && !this.#regrouped.has(ino)) this.#regrouped.set(ino, shown)
    this.#rememberAsShown(ino, shown)
    this.#conflicts.delete(ino)
    this.#renewed.delete(ino)
    this.#merged.delete(ino)
    for (const name of this.#contested.get(ino) ?? []) this.#contestedRows.delete(ino, name)
    this.#contested.delete(ino)
  }

  // What is told.

  *#changes(): Iterable<ChangedName> {
    for (const [directory, names] of this.#before) {
      for (const [name, before] of names) {
        const after = this.lookup(directory, name)?.ino
        const shown = this.shownOf(directory)
        if (before !== after) yield { directory: shown, name, before, after }
        if (shown !== directory) yield { directory, name, before, after: undefined }
      }
    }
    for (const [ino, before] of this.#regrouped) yield* this.#regroupedChanges(ino, before)
  }

  /** What a directory shows that was or is shown with others: all of it, wherever it is shown. */
  *#regroupedChanges(ino: number, shownBefore: number): Iterable<ChangedName> {
    const shown = this.shownOf(ino)
    for (const name of this.#parts.names.entries(ino).keys() as Iterable<Name>) {
      const after = this.lookup(shown, name)?.ino
      yield { directory: shown, name, before: undefined, after }
      for (const directory of new Set([ino, shownBefore])) {
        if (directory === shown) continue
        const isShown = this.shownOf(directory) === directory
        const other = isShown ? this.lookup(directory, name)?.ino : undefined
        yield { directory, name, before: after, after: other }
      }
    }
  }
}

/** How names are keys of rows: see {@link TableFormat}. */
export interface SubFormat {
  /** The sub key in the store; valid until the next call. */
  readonly storedSub: (group: number, sub: string) => Uint8Array
}

function addName(namesOf: Map<number, Set<Name>>, directory: number, name: Name): void {
  const names = namesOf.get(directory)
  if (names) names.add(name)
  else namesOf.set(directory, new Set([name]))
}

function sameNumbers(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((number, at) => number === right[at])
}

function encodeNumbers(out: ByteWriter, numbers: readonly number[]): void {
  out.varint(numbers.length)
  for (const number of numbers) out.varint(number)
}

function decodeNumbers(bytes: Uint8Array): readonly number[] {
  const reader = new ByteReader(bytes)
  const numbers = Array.from({ length: reader.count(1) }, () => reader.varint())
  reader.end()
  return numbers
}

function encodeName(out: ByteWriter, name: Name): void {
  out.latin1(name)
}

function decodeName(bytes: Uint8Array): Name {
  const reader = new ByteReader(bytes)
  return reader.latin1(reader.remaining) as Name
}
