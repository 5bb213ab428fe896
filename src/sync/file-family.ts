/**
 * What becomes of one file that many devices changed: a pure function from every operation that
 * touches the file to the files it is shown as, each with its content's versions, attributes and
 * names. Rules and words are those of the merge: versions form a tree, where two share a base the
 * first in order goes on with the file and the others are branches, files of their own; links
 * have a place each; an operation removes only what its author saw, an edit beats a removal.
 *
 * A *family* is a create operation and everything that hangs on it. Families do not depend on
 * each other, and not on where directories are: where a file is shown is said by the identity of
 * the directory and the name in it. Who keeps a name that several claim is not decided here.
 *
 * @module
 */
import type { Timestamp } from './clock.ts'
import type {
  CreateOperation,
  InodeId,
  LinkId,
  LinkOperation,
  Name,
  NamePlace,
  NodeKind,
  Operation,
  OperationId,
  TruncateOperation,
  VersionId,
  WriteOperation
} from './operation.ts'
import {
  isAncestor,
  keyOf,
  lineageOf,
  VersionTree,
  type Version,
  type VersionLine
} from './version-tree.ts'

/** An operation that touches a family. A value. */
export interface FamilyEvent {
  /** Its identity. */
  readonly id: OperationId
  /** What it does. */
  readonly operation: Operation
}

/** An operation that made a version of a file's content. A value. */
export interface VersionEvent {
  /** Its identity, which is the version's. */
  readonly id: VersionId
  /** The create, write or truncate. */
  readonly operation: CreateOperation | WriteOperation | TruncateOperation
}

/** What operations know of each other. Answers never change. */
export interface Causality {
  /** Whether the author of `later` had seen `earlier` when it executed `later`. */
  saw(later: OperationId, earlier: OperationId): boolean
  /** The order of operations: negative when the first argument comes first. Agrees with `saw`. */
  compare(left: OperationId, right: OperationId): number
}

/** A name under which a file is shown. A value. */
export interface DerivedLink {
  /** Identity: the create or link operation; of a derived link the branch's first version. */
  readonly id: LinkId
  /** The directory it is in: that which the operation named which gave the place. */
  readonly parent: InodeId
  /** The name it wants there. */
  readonly name: Name
  /** The operation that orders its claim to the name. */
  readonly by: OperationId
  /** Whether it is the derived link of a branch. */
  readonly isDerived: boolean
  /**
   * Whether it has no place of its own and is shown beside another link of the family: its claim
   * to the name comes after those of every other file.
   */
  readonly isBeside: boolean
  /** Whether a use keeps it; else it is there because an edit revived the file. */
  readonly isNamed: boolean
}

/** A file that a family is shown as: that of the create, or a branch. A value. */
export interface DerivedFile {
  /** Its identity: the create, or the first version of the branch. */
  readonly first: VersionId
  /** Its newest version. */
  readonly tip: VersionId
  /** Its own versions, oldest first. */
  readonly versions: readonly VersionEvent[]
  /** All versions its content was made of, from the create to the newest. Made when called. */
  lineage(): readonly VersionEvent[]
  /** What it is. */
  readonly kind: NodeKind
  /** Permission bits. */
  readonly mode: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** Device number of a device node. */
  readonly rdev: number
  /** Target of a symbolic link, else empty. */
  readonly target: Uint8Array
  /** Last access. */
  readonly atime: Timestamp
  /** Last change of content. */
  readonly mtime: Timestamp
  /** Last change of anything. */
  readonly ctime: Timestamp
  /** Extended attributes. */
  readonly xattrs: ReadonlyMap<Name, Uint8Array>
  /** Size in bytes. */
  readonly size: number
  /** The names it is shown under, in order of their identity; none when it is gone. */
  readonly links: readonly DerivedLink[]
}

/**
 * Derives the files of a family.
 *
 * @param history - its create and every operation that touches it, in any order, each once, with
 *   everything that they saw of it. Not in it: a create, link, rename or exchange whose author
 *   cannot have seen a directory that it names, which does nothing. What an operation says of
 *   other families is left alone.
 * @returns every file and branch, those that are gone too, in order of their identity; empty
 *   without the create
 */
export function deriveFamily(
  history: readonly FamilyEvent[],
  causality: Causality
): readonly DerivedFile[] {
  return new Family(history, causality).files()
}

/** An operation with its place in the order of the history's. */
interface OrderedEvent<T extends Operation = Operation> extends FamilyEvent {
  readonly operation: T
  readonly order: number
}

type MadeVersion = Version<OrderedEvent<VersionEvent['operation']>>
type Line = VersionLine<OrderedEvent<VersionEvent['operation']>>

interface Place {
  readonly parent: InodeId
  readonly name: Name
  /** The operation that gave the place. */
  readonly by: OperationId
}

interface Link {
  /** The operation whose identity it has. */
  readonly made: OrderedEvent
  /** The version it was made for. Its file is the link's. */
  readonly anchor: MadeVersion
  /** Of a derived link: the link its branch was opened by. */
  readonly openedBy: Link | undefined
  readonly isDerived: boolean
  /** Uses that keep the name, in order. */
  readonly namings: OrderedEvent[]
  /** Operations that removed it, in order. */
  readonly removals: OrderedEvent[]
  /** Places it was given, in order. */
  readonly places: Place[]
  /** Places that operations gave which named it, wherever they went: what their authors saw. */
  readonly seenPlaces: (Place & { readonly tip: MadeVersion })[]
}

class Family {
  readonly #causality: Causality
  readonly #events: readonly OrderedEvent[]
  readonly #versions: VersionTree<OrderedEvent<VersionEvent['operation']>>
  readonly #links = new Map<string, Link>()
  readonly #linksOf = new Map<Line, Link[]>()
  /** What was set of a version by those who saw it, and what made it. */
  readonly #changes = new Map<MadeVersion, OrderedEvent[]>()
  /** For each file the operations that changed its ctime by way of a name. */
  readonly #touches = new Map<Line, OrderedEvent[]>()
  /** Versions whose last name was removed by someone who saw them, and by whom. */
  readonly #ended = new Map<MadeVersion, OrderedEvent[]>()
  /** The link that was last found to keep a name: most often it does so again. */
  #keeper: Link | undefined

  constructor(history: readonly FamilyEvent[], causality: Causality) {
    this.#causality = causality
    this.#versions = new VersionTree((later, earlier) => causality.saw(later, earlier))
    this.#events = history
      .toSorted((left, right) => causality.compare(left.id, right.id))
      .map(({ id, operation }, order) => ({ id, operation, order }))
    for (const event of this.#events) this.#addVersion(event)
    for (const event of this.#events) {
      this.#deriveLink(event)
      this.#apply(event)
    }
  }

  files(): readonly DerivedFile[] {
    const root = this.#root()
    if (!root) return []
    const shown = this.#versions.lines.map(line => this.#shownLinks(line))
    const living = new Set(shown.flat())
    const places = new Places(living, this.#versions, this.#causality)
    return this.#versions.lines.map((line, i) => {
      const links = (shown[i] ?? []).flatMap(link => this.#derivedLink(link, places))
      return this.#fileOf(line, root, links)
    })
  }

  // Versions.

  #root(): CreateOperation | undefined {
    const operation = this.#versions.lines[0]?.first.event.operation
    return operation?.type === 'create' ? operation : undefined
  }

  #addVersion(event: OrderedEvent): void {
    const { operation } = event
    const version = this.#versionOf(event, operation)
    if (!version) return
    const changes = this.#changes.get(version) ?? []
    changes.push(event)
    this.#changes.set(version, changes)
  }

  /** The version that an operation makes, or that it sets an attribute of. */
  #versionOf(event: OrderedEvent, operation: Operation): MadeVersion | undefined {
    switch (operation.type) {
      case 'create':
        return this.#versions.add({ ...event, operation }, undefined)
      case 'write':
      case 'truncate': {
        const base = this.#seenVersion(event, operation.base)
        if (!base || this.#root()?.kind !== 'file') return undefined
        return this.#versions.add({ ...event, operation }, base)
      }
      case 'setattr':
      case 'setxattr':
      case 'removexattr':
        return this.#seenVersion(event, operation.base)
      default:
        return undefined
    }
  }

  #seenVersion(by: OrderedEvent, id: VersionId): MadeVersion | undefined {
    const version = this.#versions.get(id)
    return version && this.#saw(by, version.event) ? version : undefined
  }

  // What operations do to links, one after another in order.

  /** A version that starts a branch also makes its derived link. */
  #deriveLink(made: OrderedEvent): void {
    const { operation } = made
    if (operation.type !== 'write' && operation.type !== 'truncate') return
    const anchor = this.#versions.get(made.id)
    if (!anchor || anchor.line.first !== anchor) return
    const [root] = this.#links.values()
    const openedBy = this.#seenLink(made, operation.through) ?? root
    this.#addLink({ made, anchor, isDerived: true, openedBy })
  }

  #apply(made: OrderedEvent): void {
    const { operation } = made
    switch (operation.type) {
      case 'create':
        return this.#create(made, operation)
      case 'link':
        return this.#link(made, operation)
      case 'unlink':
      case 'rmdir':
        return this.#remove(made, operation.links)
      case 'rename':
        this.#remove(made, operation.replaced)
        return this.#move(made, operation.links, operation)
      case 'exchange':
        this.#move(made, operation.links, operation.second)
        return this.#move(made, operation.others, operation.first)
      default:
    }
  }

  #create(made: OrderedEvent, { parent, name }: CreateOperation): void {
    const anchor = this.#versions.get(made.id)
    if (!anchor) return
    const link = this.#addLink({ made, anchor, isDerived: false, openedBy: undefined })
    this.#place(made, link, { parent, name, by: made.id })
  }

  #link(made: OrderedEvent, { through, parent, name }: LinkOperation): void {
    const old = this.#seenLink(made, through)
    if (!old) return
    const tip = this.#versions.tipSeenBy(made.id, old.anchor)
    const isEnded = this.#ended.get(tip)?.some(ending => this.#saw(made, ending)) ?? false
    // A name that was only revived would vanish now that the file has another one.
    if (!isEnded && !this.#isNamedFor(made, old)) this.#target(old, tip)?.namings.push(made)
    const link = this.#addLink({ made, anchor: tip, isDerived: false, openedBy: undefined })
    this.#place(made, link, { parent, name, by: made.id })
  }

  #remove(made: OrderedEvent, ids: readonly LinkId[]): void {
    const links = ids.flatMap(id => this.#seenLink(made, id) ?? [])
    for (const link of links) {
      const tip = this.#versions.tipSeenBy(made.id, link.anchor)
      this.#touch(made, this.#target(link, tip) ?? link)
      if (this.#hasNameBeyond(links, made, tip)) continue
      const endings = this.#ended.get(tip) ?? []
      endings.push(made)
      this.#ended.set(tip, endings)
    }
    for (const link of links) link.removals.push(made)
  }

  /** Whether who removes links still sees a name of the file whose newest version is `tip`. */
  #hasNameBeyond(removed: readonly Link[], by: OrderedEvent, tip: MadeVersion): boolean {
    const keeps = (link: Link): boolean =>
      !removed.includes(link) &&
      this.#versions.tipSeenBy(by.id, link.anchor) === tip &&
      this.#isNamedFor(by, link)
    if (this.#keeper && keeps(this.#keeper)) return true
    for (const link of this.#links.values()) {
      if (!keeps(link)) continue
      this.#keeper = link
      return true
    }
    return false
  }

  #move(made: OrderedEvent, ids: readonly LinkId[], { parent, name }: NamePlace): void {
    for (const id of ids) {
      const link = this.#seenLink(made, id)
      const tip = link && this.#versions.tipSeenBy(made.id, link.anchor)
      const target = tip && this.#target(link, tip)
      if (!target) continue
      const place = { parent, name, by: made.id }
      link.seenPlaces.push({ ...place, tip })
      this.#place(made, target, place)
    }
  }

  /** Gives a link a place and counts that as a use. */
  #place(made: OrderedEvent, link: Link, place: Place): void {
    link.places.push(place)
    link.namings.push(made)
    this.#touch(made, link)
  }

  /**
   * The link that an operation on a name is about: if the version that its author saw is now in
   * a branch, that branch's own.
   */
  #target(link: Link, tip: MadeVersion): Link | undefined {
    if (tip.line === link.anchor.line) return link
    return this.#links.get(keyOf(tip.line.first.event.id))
  }

  #touch(made: OrderedEvent, { anchor }: Link): void {
    const touches = this.#touches.get(anchor.line) ?? []
    touches.push(made)
    this.#touches.set(anchor.line, touches)
  }

  #addLink(parts: Pick<Link, 'made' | 'anchor' | 'isDerived' | 'openedBy'>): Link {
    const link = { ...parts, namings: [], removals: [], places: [], seenPlaces: [] }
    this.#links.set(keyOf(link.made.id), link)
    const ofLine = this.#linksOf.get(link.anchor.line) ?? []
    ofLine.push(link)
    this.#linksOf.set(link.anchor.line, ofLine)
    return link
  }

  #seenLink(by: OrderedEvent, id: LinkId): Link | undefined {
    const link = this.#links.get(keyOf(id))
    return link && this.#saw(by, link.made) ? link : undefined
  }

  // What lives.

  /** Whether some use of a link's name was not seen by its removals. */
  #isNamed({ namings, removals }: Link): boolean {
    return namings.findLast(naming => !this.#isCovered(naming, removals)) !== undefined
  }

  /** Whether a link was kept by a naming as the author of an operation saw it. */
  #isNamedFor(by: OrderedEvent, link: Link): boolean {
    const removals = link.removals.filter(removal => this.#saw(by, removal))
    const keeps = (naming: OrderedEvent): boolean =>
      this.#saw(by, naming) && !this.#isCovered(naming, removals)
    return link.namings.findLast(keeps) !== undefined
  }

  /** Whether some removal's author had seen a use. Its own entry counts as seen to the end. */
  #isCovered(use: OrderedEvent, removals: readonly OrderedEvent[]): boolean {
    return removals.some(removal => isSameEntry(removal.id, use.id) || this.#saw(removal, use))
  }

  /** The links under which a file is shown. */
  #shownLinks(line: Line): readonly Link[] {
    const links = this.#linksOf.get(line) ?? []
    const named = links.filter(link => this.#isNamed(link))
    if (named.length > 0) return named
    return this.#ended.has(line.tip) ? [] : revived(line, links)
  }

  #saw(later: OrderedEvent, earlier: OrderedEvent): boolean {
    return this.#causality.saw(later.id, earlier.id)
  }

  // The files.

  #derivedLink(link: Link, places: Places): DerivedLink[] {
    const place = places.of(link)
    if (!place) return []
    const { id } = link.made
    const isBeside = link.places.length === 0
    const { parent, name, by } = place
    const { isDerived } = link
    const isNamed = this.#isNamed(link)
    return [{ id, parent, name, by: isBeside ? id : by, isDerived, isBeside, isNamed }]
  }

  #fileOf(line: Line, root: CreateOperation, links: readonly DerivedLink[]): DerivedFile {
    const { first, tip, versions } = line
    const { operation } = tip.event
    const { kind, rdev, target } = root
    return {
      ...this.#attributesOf(line, root),
      first: first.event.id,
      tip: tip.event.id,
      kind,
      rdev,
      target,
      links,
      versions: versions.map(eventOf),
      lineage: () => lineageOf(tip).map(eventOf),
      size: operation.type === 'create' ? target.length : operation.size
    }
  }

  /** What was set by those who saw a version of the file, and before it what its first saw. */
  #attributesOf({ first, versions }: Line, root: CreateOperation): AttributeValues {
    const attributes = new FileAttributes(root)
    for (const version of first.base ? lineageOf(first.base) : []) {
      for (const change of this.#changes.get(version) ?? []) {
        const isOfVersion = change.id === version.event.id
        if (isOfVersion || this.#saw(first.event, change)) attributes.apply(change)
      }
    }
    for (const version of versions) {
      for (const change of this.#changes.get(version) ?? []) attributes.apply(change)
    }
    for (const touch of this.#touches.get(first.line) ?? []) attributes.apply(touch)
    return attributes.values()
  }
}

/** Where the links of a family are shown. */
class Places {
  readonly #living: ReadonlySet<Link>
  readonly #versions: VersionTree<OrderedEvent<VersionEvent['operation']>>
  readonly #causality: Causality
  /** The first shown link that is not that of a branch. */
  readonly #first: Link | undefined

  constructor(
    living: ReadonlySet<Link>,
    versions: VersionTree<OrderedEvent<VersionEvent['operation']>>,
    causality: Causality
  ) {
    this.#living = living
    this.#versions = versions
    this.#causality = causality
    this.#first = [...living].find(link => !link.isDerived)
  }

  /** The place a link was given; else beside a living one; else where its branch was opened. */
  of(link: Link): Place | undefined {
    for (let at = link; ;) {
      const own = at.places.at(-1)
      if (own || !at.openedBy) return own
      const beside: Link | undefined = this.#living.has(at.openedBy) ? at.openedBy : this.#first
      if (!beside) return this.#seenBy(at.made.id, at.openedBy)
      at = beside
    }
  }

  /** Where the author of an operation saw a link. */
  #seenBy(by: OperationId, link: Link): Place | undefined {
    const wasSeen = (place: Place): boolean => this.#causality.saw(by, place.by)
    for (let at: Link | undefined = link; at; at = at.openedBy) {
      const place = at.isDerived ? at.places.findLast(wasSeen) : this.#movedFor(by, at)
      if (place) return place
    }
    return undefined
  }

  /** Where the author of an operation saw a link go, or else where it was made. */
  #movedFor(by: OperationId, { anchor, seenPlaces, places }: Link): Place | undefined {
    const tip = this.#versions.tipSeenBy(by, anchor)
    const moved = seenPlaces.findLast(
      place => this.#causality.saw(by, place.by) && isAncestor(place.tip, tip)
    )
    return moved ?? places[0]
  }
}

type AttributeValues = Pick<
  DerivedFile,
  'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'ctime' | 'xattrs'
>

/** Registers of a file's attributes: of each the last in order counts, however they come. */
class FileAttributes {
  readonly #values: Omit<AttributeValues, 'xattrs'>
  readonly #orders = new Map<string, number>()
  readonly #xattrs = new Map<Name, Uint8Array>()

  constructor({ mode, uid, gid, time }: CreateOperation) {
    this.#values = { mode, uid, gid, atime: time, mtime: time, ctime: time }
  }

  apply({ operation, order }: OrderedEvent): void {
    if ('time' in operation) this.#set('ctime', operation.time, order)
    switch (operation.type) {
      case 'setattr':
        for (const field of ['mode', 'uid', 'gid', 'atime', 'mtime'] as const) {
          this.#set(field, operation[field], order)
        }
        return
      case 'setxattr':
        this.#setXattr(operation.name, operation.value, order)
        return
      case 'removexattr':
        this.#setXattr(operation.name, undefined, order)
        return
      case 'write':
      case 'truncate':
        this.#set('mtime', operation.time, order)
        return
      default:
    }
  }

  values(): AttributeValues {
    return { ...this.#values, xattrs: this.#xattrs }
  }

  #set<K extends keyof Omit<AttributeValues, 'xattrs'>>(
    field: K,
    value: AttributeValues[K] | undefined,
    order: number
  ): void {
    if (value !== undefined && this.#isLater(field, order)) this.#values[field] = value
  }

  #setXattr(name: Name, value: Uint8Array | undefined, order: number): void {
    if (!this.#isLater(`xattr ${name}`, order)) return
    if (value) this.#xattrs.set(name, value)
    else this.#xattrs.delete(name)
  }

  #isLater(register: string, order: number): boolean {
    if (order < (this.#orders.get(register) ?? 0)) return false
    this.#orders.set(register, order)
    return true
  }
}

/** The link at which a file without a name is revived. */
function revived({ tip }: Line, links: readonly Link[]): readonly Link[] {
  const { operation } = tip.event
  const through = operation.type === 'create' ? undefined : keyOf(operation.through)
  const own = links.filter(link => !link.isDerived)
  const first = own.find(link => keyOf(link.made.id) === through) ?? own[0] ?? links[0]
  return first ? [first] : []
}

function eventOf({ event: { id, operation } }: MadeVersion): VersionEvent {
  return { id, operation }
}

function isSameEntry(left: OperationId, right: OperationId): boolean {
  return left.index === right.index && left.log === right.log
}
