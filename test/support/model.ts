/**
 * The oracle: what tree a set of log entries means. A pure function of the set, written for
 * reading and not for speed; the index of `src/sync` must agree with it after every step.
 *
 * It follows the design's page on the merge (operations are a set, the tree is a view). Where
 * that page leaves something open, this is what is meant:
 *
 * - **Links and branches.** A link is anchored at the version it was made for: that of the
 *   create, or the one the author of a `link` operation saw. It belongs to the file that this
 *   version belongs to. A branch has one derived link, whose identity is the branch's.
 * - **The version an operation on a name saw** is not written down; it follows from what the
 *   author had seen: from the link's anchor along the first children in order that it saw. If
 *   that version is now in a branch, a rename gives the branch's derived link a place of its
 *   own and leaves the link alone.
 * - **What keeps a file.** create, mkdir, link, rename and exchange are uses of a link that keep
 *   the name, against every removal that had not seen them; a name that is there only because
 *   the file was revived is also kept by being linked from. Who removes the last name of a file
 *   that it sees *ends* the version that it sees. A file without a name whose newest version
 *   nobody ended is revived at one link: the one its newest version was written through, else
 *   its first. So an edit beats a removal that had not seen it, two devices that each remove
 *   another one of two names lose nothing, and what was removed does not come back because of
 *   a name that was only hidden by the other.
 * - **Where a branch is shown**: at the place of its derived link if it was given one; else at
 *   the place of the link it was opened by, or if that does not live, of the first link of the
 *   inode that does, or if none does, at the place where its first author saw that link. There
 *   it comes after every name that a user gave.
 * - **Who keeps a name**: directories made there, then directories moved there, then files, by
 *   the order of the operation that put them there, then branches. Directories made at one place
 *   are one; those moved there by one operation are one.
 * - **Attributes** of a branch are those its first author saw, and what was set since by
 *   those who saw a version of the branch. Those of directories shown as one are the first's.
 * - An operation that names what is not there (or what its author cannot have seen) does
 *   nothing for that name. What is made in a directory that is not there is not made. A version
 *   can be named as a link, whether or not it turns out to start a branch: if it does not, that
 *   only touches directories.
 *
 * Equal content does not collapse yet: operations carry no keyed content hash.
 *
 * @module
 */
import type { Timestamp } from '../../src/sync/clock.ts'
import {
  ROOT_ID,
  type ExchangeOperation,
  type LinkOperation,
  type MkdirOperation,
  type Name,
  type NodeKind,
  type Operation,
  type OperationId,
  type RenameOperation,
  type UnlinkOperation
} from '../../src/sync/operation.ts'
import {
  is,
  isAncestor,
  ModelContent,
  runsOf,
  sizeOf,
  tipSeenBy,
  type ModelFile,
  type ModelRun,
  type ModelVersion
} from './model-content.ts'
import {
  compareOperations,
  deliver,
  keyOf,
  saw,
  type ModelEntry,
  type ModelOperation
} from './model-entry.ts'
import { conflictName } from './model-name.ts'

export type { ModelEntry } from './model-entry.ts'
export type { ModelRun } from './model-content.ts'

/** A file, directory or other node as it is shown. */
export interface ModelNode {
  /** What it is. */
  readonly kind: NodeKind | 'directory'
  /** Its identity; several for directories shown as one, in order. */
  readonly ids: readonly OperationId[]
  /** The version of its content; undefined for a directory. */
  readonly version: OperationId | undefined
  /** Permission bits. */
  readonly mode: number
  /** Owner. */
  readonly uid: number
  /** Group. */
  readonly gid: number
  /** Device number. */
  readonly rdev: number
  /** Target of a symbolic link, else empty. */
  readonly target: Uint8Array
  /** Last access. */
  readonly atime: Timestamp
  /** Last change of content. */
  readonly mtime: Timestamp
  /** Last change of anything. */
  readonly ctime: Timestamp
  /** Names of a file; of a directory 2 + its subdirectories. */
  readonly nlink: number
  /** Size in bytes; 0 for a directory. */
  readonly size: number
  /** Extended attributes, by name. */
  readonly xattrs: ReadonlyMap<Name, Uint8Array>
  /** Where its bytes are; holes are left out. */
  readonly content: readonly ModelRun[]
  /** What is in a directory, sorted by name. */
  readonly children: ReadonlyMap<Name, ModelChild>
}

/** One name in a directory. */
export interface ModelChild {
  /** What it stands for; the same object under each of its names. */
  readonly node: ModelNode
  /** Its links; several for directories shown as one, in order. */
  readonly links: readonly OperationId[]
  /** Whether the name is a conflict name that nobody wrote. */
  readonly isGenerated: boolean
}

/** The tree: its root directory. */
export type ModelTree = ModelNode

/** Ways to break a rule on purpose, which the checks of the tests must notice. */
export const MUTATIONS = [
  'attributes apply to every branch',
  'branches are dropped',
  'dead directories are hidden',
  'directories move into themselves',
  'edits revive nothing',
  'every name is revived',
  'files come before directories',
  'moved directories join others',
  'renames move one of several directories',
  'the first change of attributes stays',
  'made directories are apart',
  'names are given by arrival',
  'nothing is ended',
  'removals cover the unseen',
  'renames are no uses',
  'renames take the file along'
] as const

/** One of {@link MUTATIONS}. */
export type Mutation = (typeof MUTATIONS)[number]

/** @returns the tree that these entries mean, in whatever order they are given */
export function treeOf(
  entries: readonly ModelEntry[],
  options: { readonly mutation?: Mutation } = {}
): ModelTree {
  return new Model(deliver(entries), options.mutation).tree()
}

interface Place {
  readonly parent: Directory
  readonly name: Name
  /** The operation that gave the place. */
  readonly by: ModelOperation
}

interface Link {
  /** The operation whose identity it has. */
  readonly made: ModelOperation
  /** The directory it is the link of; undefined for that of a file. */
  readonly directory: Directory | undefined
  /** The version it was made for; undefined for the link of a directory. */
  readonly anchor: ModelVersion | undefined
  /** Of a derived link: the link its branch was opened by. */
  readonly openedBy: Link | undefined
  /** Whether it is the derived link of a branch. */
  readonly isDerived: boolean
  /** Uses that keep the name. */
  readonly namings: ModelOperation[]
  /** Operations that removed it. */
  readonly removals: ModelOperation[]
  /** Places it was given, in order. */
  readonly places: Place[]
  /** Places that operations gave which named it, wherever they went: what their authors saw. */
  readonly seenPlaces: (Place & { readonly tip: ModelVersion | undefined })[]
}

interface Directory {
  readonly id: OperationId
  /** The operation that made it; undefined for the root. */
  readonly made: ModelOperation<MkdirOperation> | undefined
  /** Its link; undefined for the root. */
  link: Link | undefined
  /** Where it is, moves that would close a cycle left out; undefined for the root. */
  place: Place | undefined
  mode: number
  uid: number
  gid: number
  atime: Timestamp
  mtime: Timestamp
  ctime: Timestamp
  readonly xattrs: Map<Name, Uint8Array>
}

/** A wish to stand at a name of one directory. */
interface Claim {
  readonly name: Name
  /** The operation that gave the name. */
  readonly by: ModelOperation
  /** Lower keeps the name. */
  readonly rank: number
  readonly links: readonly Link[]
}

const RANK_MADE_DIRECTORY = 0
const RANK_MOVED_DIRECTORY = 1
const RANK_FILE = 2
const RANK_BRANCH = 3

const EPOCH: Timestamp = { sec: 0, nsec: 0 }
const ROOT_KEY = keyOf(ROOT_ID)

class Model {
  readonly #mutation: Mutation | undefined
  readonly #operations: readonly ModelOperation[]
  readonly #content: ModelContent
  readonly #links = new Map<string, Link>()
  readonly #directories = new Map<string, Directory>()
  /** Link operations that name what is there, also if they then make no link. */
  readonly #linkings = new Map<string, ModelOperation>()
  /** For each file the operations that changed its ctime by way of a name. */
  readonly #renamed = new Map<ModelFile, ModelOperation[]>()
  /** Versions whose last name was removed by someone who saw them, and by whom. */
  readonly #ended = new Map<ModelVersion, ModelOperation[]>()
  readonly #shown = new Map<Directory, boolean>()
  #fileLinksFound: readonly Link[] | undefined
  readonly #nodes = new Map<ModelFile, ModelNode>()

  constructor(delivered: readonly ModelOperation[], mutation: Mutation | undefined) {
    this.#mutation = mutation
    this.#operations = withoutOrphans(
      mutation === 'names are given by arrival' ? delivered : delivered.toSorted(compareOperations)
    )
    this.#content = new ModelContent(this.#operations)
    this.#directories.set(ROOT_KEY, rootDirectory())
    for (const made of this.#operations) {
      this.#deriveLink(made)
      this.#apply(made)
    }
  }

  tree(): ModelTree {
    const root = this.#directories.get(ROOT_KEY)
    if (!root) throw new Error('there is always a root')
    return this.#directoryNode([root])
  }

  // What operations do to links and directories, one after another in order.

  #apply(made: ModelOperation): void {
    const { operation } = made
    switch (operation.type) {
      case 'create':
        return this.#create(made, operation)
      case 'mkdir':
        return this.#mkdir(made, operation)
      case 'link':
        return this.#link(made, operation)
      case 'unlink':
      case 'rmdir':
        return this.#remove(made, operation.links, operation)
      case 'rename':
        return this.#rename(made, operation)
      case 'exchange':
        return this.#exchange(made, operation)
      default:
        return this.#setDirectory(made)
    }
  }

  /** A version that starts a branch also makes its derived link. */
  #deriveLink(made: ModelOperation): void {
    const version = this.#content.madeBy(made)
    if (version?.base === undefined || version.file.first !== version) return
    const through = 'through' in made.operation ? made.operation.through : undefined
    const link = through && this.#seenLink(made, through)
    const isOfFile = link?.anchor?.root === version.root
    const openedBy = isOfFile ? link : this.#links.get(version.root.made.key)
    // Without it the create was made nowhere, and nothing of the file is anywhere.
    if (openedBy) this.#addLink(made, { anchor: version, isDerived: true, openedBy })
  }

  #create(made: ModelOperation, { parent, name, time }: CreateOrMkdir): void {
    const directory = this.#seenDirectory(made, parent)
    const version = this.#content.madeBy(made)
    if (!directory || !version) return
    const link = this.#addLink(made, { anchor: version })
    this.#place(link, { parent: directory, name, by: made }, time)
  }

  #mkdir(made: ModelOperation, operation: MkdirOperation): void {
    const parent = this.#seenDirectory(made, operation.parent)
    if (!parent || !is(made, 'mkdir')) return
    const { mode, uid, gid, time, name } = operation
    const directory: Directory = {
      ...{ id: made.id, made, link: undefined, place: undefined, mode, uid, gid },
      ...{ atime: time, mtime: time, ctime: time, xattrs: new Map() }
    }
    directory.link = this.#addLink(made, { directory })
    this.#directories.set(made.key, directory)
    this.#place(directory.link, { parent, name, by: made }, time)
  }

  #link(made: ModelOperation, { through, parent, name, time }: LinkOperation): void {
    const old = this.#seenLink(made, through)
    const directory = this.#seenDirectory(made, parent)
    if (old?.directory || !this.#isSeen(made, through) || !directory) return
    this.#linkings.set(made.key, made)
    touch(directory, time)
    if (!old?.anchor) return
    const tip = tipSeenBy(made, old.anchor)
    const isEnded = this.#ended.get(tip)?.some(ending => saw(made, ending)) ?? false
    // A name that was only revived would vanish now that the file has another one.
    if (!isEnded && !this.#isNamedFor(made, old)) this.#target(made, old)?.namings.push(made)
    const link = this.#addLink(made, { anchor: tip })
    this.#place(link, { parent: directory, name, by: made }, time)
  }

  #remove(
    made: ModelOperation,
    ids: readonly OperationId[],
    { parent, time }: Pick<UnlinkOperation, 'parent' | 'time'>
  ): void {
    const links = ids.flatMap(id => this.#seenLink(made, id) ?? [])
    const directory = this.#seenDirectory(made, parent)
    if (directory && ids.some(id => this.#isSeen(made, id))) touch(directory, time)
    for (const link of links) {
      this.#touchLink(made, this.#target(made, link) ?? link)
      if (!link.anchor) continue
      const names = this.#namesSeenBy(made, link.anchor)
      const isLast = !names.some(name => !links.includes(name) && this.#isNamedFor(made, name))
      if (isLast) this.#end(made, tipSeenBy(made, link.anchor))
    }
    for (const link of links) link.removals.push(made)
  }

  #end(made: ModelOperation, version: ModelVersion): void {
    this.#ended.set(version, [...(this.#ended.get(version) ?? []), made])
  }

  /** The links that led to an anchor's file as the author of an operation saw it. */
  #namesSeenBy(by: ModelOperation, anchor: ModelVersion): readonly Link[] {
    const tip = tipSeenBy(by, anchor)
    return [...this.#links.values()].filter(
      other => other.anchor && saw(by, other.made) && tipSeenBy(by, other.anchor) === tip
    )
  }

  /** Whether a link was kept by a naming as the author of an operation saw it. */
  #isNamedFor(by: ModelOperation, link: Link): boolean {
    const removals = link.removals.filter(removal => saw(by, removal))
    return link.namings.some(naming => saw(by, naming) && !isCovered(naming, removals))
  }

  #rename(made: ModelOperation, operation: RenameOperation): void {
    const { links, replaced, name, time } = operation
    const from = this.#seenDirectory(made, operation.from)
    const parent = this.#seenDirectory(made, operation.parent)
    if (!from || !parent) return
    this.#remove(made, replaced, operation)
    const moved = this.#mutation === 'renames move one of several directories' ? 1 : links.length
    for (const id of links.slice(0, moved)) {
      this.#move(made, this.#seenLink(made, id), { parent, name }, time)
    }
    if (!links.some(id => this.#isSeen(made, id))) return
    touch(from, time)
    touch(parent, time)
  }

  #exchange(made: ModelOperation, { links, others, first, second, time }: ExchangeOperation): void {
    const here = this.#seenDirectory(made, first.parent)
    const there = this.#seenDirectory(made, second.parent)
    if (!here || !there) return
    const move = (id: OperationId, to: Omit<Place, 'by'>): void => {
      this.#move(made, this.#seenLink(made, id), to, time)
      if (this.#isSeen(made, id)) touch(to.parent, time)
    }
    for (const id of links) move(id, { ...second, parent: there })
    for (const id of others) move(id, { ...first, parent: here })
  }

  #move(
    made: ModelOperation,
    link: Link | undefined,
    { parent, name }: Omit<Place, 'by'>,
    time: Timestamp
  ): void {
    const target = link && this.#target(made, link)
    if (!target) return
    const tip = link.anchor && tipSeenBy(made, link.anchor)
    link.seenPlaces.push({ parent, name, by: made, tip })
    this.#place(target, { parent, name, by: made }, time)
  }

  /** Gives a link a place and counts that as a use. */
  #place(link: Link, place: Place, time: Timestamp): void {
    link.places.push(place)
    if (this.#mutation !== 'renames are no uses' || link.made === place.by) {
      link.namings.push(place.by)
    }
    this.#touchLink(place.by, link)
    touch(place.parent, time)
    const { directory } = link
    if (!directory) return
    const closesCycle = isWithin(place.parent, directory)
    if (!closesCycle || this.#mutation === 'directories move into themselves') {
      directory.place = place
    }
  }

  /** The link that an operation on a name is about: see the module comment. */
  #target(made: ModelOperation, link: Link): Link | undefined {
    if (!link.anchor || this.#mutation === 'renames take the file along') return link
    const { file } = tipSeenBy(made, link.anchor)
    return file === link.anchor.file ? link : this.#links.get(file.first.made.key)
  }

  #touchLink(made: ModelOperation, link: Link): void {
    if (link.directory) link.directory.ctime = timeOf(made.operation)
    const file = link.anchor?.file
    if (file) this.#renamed.set(file, [...(this.#renamed.get(file) ?? []), made])
  }

  #setDirectory(made: ModelOperation): void {
    const { operation } = made
    if (!('inode' in operation)) return
    const directory = this.#seenDirectory(made, operation.inode)
    if (directory) setAttributes(directory, operation)
  }

  #addLink(
    made: ModelOperation,
    parts: Partial<Pick<Link, 'directory' | 'anchor' | 'openedBy' | 'isDerived'>>
  ): Link {
    const link: Link = {
      ...{ made, directory: undefined, anchor: undefined, openedBy: undefined, isDerived: false },
      ...{ namings: [], removals: [], places: [], seenPlaces: [] },
      ...parts
    }
    this.#links.set(made.key, link)
    return link
  }

  #seenLink(by: ModelOperation, id: OperationId): Link | undefined {
    const link = this.#links.get(keyOf(id))
    return link && saw(by, link.made) ? link : undefined
  }

  /** Whether an operation that makes or can make a link is there and was seen. */
  #isSeen(by: ModelOperation, id: OperationId): boolean {
    const linking = this.#linkings.get(keyOf(id))
    if (linking && saw(by, linking)) return true
    return this.#seenLink(by, id) !== undefined || this.#content.seen(by, id) !== undefined
  }

  #seenDirectory(by: ModelOperation, id: OperationId): Directory | undefined {
    const directory = this.#directories.get(keyOf(id))
    if (!directory?.made) return directory
    return saw(by, directory.made) ? directory : undefined
  }

  // What lives.

  /** Whether some use of a link's name was not seen by its removals. */
  #isNamed(link: Link): boolean {
    if (this.#mutation === 'removals cover the unseen') return link.removals.length === 0
    return link.namings.some(naming => !isCovered(naming, link.removals))
  }

  /** The links under which a file is shown. */
  #shownLinks(file: ModelFile): readonly Link[] {
    const links = [...this.#links.values()].filter(link => link.anchor?.file === file)
    const named = links.filter(link => this.#isNamed(link))
    if (this.#mutation === 'every name is revived' && !this.#ended.has(file.tip)) return links
    if (named.length > 0) return named
    const isEnded = this.#ended.has(file.tip) && this.#mutation !== 'nothing is ended'
    return isEnded ? [] : this.#revived(file, links)
  }

  /** The link at which a file without a name is revived. */
  #revived(file: ModelFile, links: readonly Link[]): readonly Link[] {
    const { operation } = file.tip.made
    const through = 'through' in operation ? keyOf(operation.through) : undefined
    const own = links.filter(link => !link.isDerived)
    const derived = links.filter(link => link.isDerived)
    const first = own.find(link => link.made.key === through) ?? own[0] ?? derived[0]
    if (this.#mutation === 'branches are dropped' && first?.isDerived) return []
    if (this.#mutation === 'edits revive nothing' && !first?.isDerived) return []
    return first ? [first] : []
  }

  #isShown(directory: Directory): boolean {
    const known = this.#shown.get(directory)
    if (known !== undefined) return known
    // A guess that only a cycle could ask for; there is none unless a rule was broken.
    this.#shown.set(directory, false)
    const { link } = directory
    const lives = !link || this.#isNamed(link)
    const hasChild = () =>
      [...this.#directories.values()].some(
        child => child.place?.parent === directory && this.#isShown(child)
      ) || this.#fileLinks().some(link => this.#placeOf(link)?.parent === directory)
    const mayBeDead = this.#mutation !== 'dead directories are hidden'
    const isShown = lives || (mayBeDead && hasChild())
    this.#shown.set(directory, isShown)
    return isShown
  }

  /** All links under which files are shown. */
  #fileLinks(): readonly Link[] {
    this.#fileLinksFound ??= this.#content.files.flatMap(file => this.#shownLinks(file))
    return this.#fileLinksFound
  }

  #placeOf(link: Link): Place | undefined {
    const own = link.places.at(-1)
    if (own || !link.openedBy) return own
    const { openedBy } = link
    const living = this.#fileLinks().filter(other => other.anchor?.root === link.anchor?.root)
    const beside = living.includes(openedBy) ? openedBy : living.find(other => !other.isDerived)
    return beside ? this.#placeOf(beside) : placeSeenBy(link.made, openedBy)
  }

  // The view.

  #directoryNode(members: readonly Directory[]): ModelNode {
    const children = this.#childrenOf(members)
    const isDirectory = (child: ModelChild): boolean => child.node.kind === 'directory'
    const [first] = members
    if (!first) throw new Error('a directory has a member')
    const { mode, uid, gid, atime, mtime, ctime, xattrs } = first
    return {
      ...{ kind: 'directory', ids: members.map(({ id }) => id), version: undefined },
      ...{ mode, uid, gid, rdev: 0, target: new Uint8Array(), atime, mtime, ctime, size: 0 },
      ...{ nlink: 2 + [...children.values()].filter(isDirectory).length },
      ...{ xattrs: sorted(xattrs), content: [], children }
    }
  }

  #childrenOf(members: readonly Directory[]): ReadonlyMap<Name, ModelChild> {
    const claims = [...this.#directoryClaims(members), ...this.#fileClaims(members)]
    const order = this.#mutation === 'files come before directories' ? -1 : 1
    claims.sort((left, right) => order * (left.rank - right.rank) || compareClaims(left, right))
    const winners = new Map<Name, Claim>()
    for (const claim of claims) if (!winners.has(claim.name)) winners.set(claim.name, claim)

    const children = new Map<Name, ModelChild>()
    for (const [name, claim] of winners) children.set(name, this.#childOf(claim, false))
    const losers = claims.filter(claim => winners.get(claim.name) !== claim)
    for (const claim of losers.toSorted(compareClaims)) {
      children.set(freeName(claim, children), this.#childOf(claim, true))
    }
    return sorted(children)
  }

  #directoryClaims(members: readonly Directory[]): Claim[] {
    const groups = new Map<string, Claim>()
    for (const directory of this.#directories.values()) {
      const { place, link, made } = directory
      if (!place || !link || !members.includes(place.parent) || !this.#isShown(directory)) continue
      const isMade = place.by === made
      const isApart = isMade && this.#mutation === 'made directories are apart'
      const joins = isMade || this.#mutation === 'moved directories join others'
      const key = `${joins ? 'made' : place.by.key} ${isApart ? link.made.key : ''} ${place.name}`
      const group = groups.get(key)
      groups.set(key, {
        ...{ name: place.name, by: group?.by ?? place.by },
        ...{ rank: isMade ? RANK_MADE_DIRECTORY : RANK_MOVED_DIRECTORY },
        links: [...(group?.links ?? []), link]
      })
    }
    return [...groups.values()]
  }

  #fileClaims(members: readonly Directory[]): Claim[] {
    const claims: Claim[] = []
    for (const link of this.#fileLinks()) {
      const place = this.#placeOf(link)
      if (!place || !members.includes(place.parent)) continue
      const isOwn = link.places.includes(place)
      claims.push({
        ...{ name: place.name, by: isOwn ? place.by : link.made },
        ...{ rank: isOwn ? RANK_FILE : RANK_BRANCH, links: [link] }
      })
    }
    return claims
  }

  #childOf({ links }: Claim, isGenerated: boolean): ModelChild {
    const ids = links.map(link => link.made.id)
    const directories = links.flatMap(link => link.directory ?? [])
    if (directories.length > 0) {
      return { node: this.#directoryNode(directories), links: ids, isGenerated }
    }
    const file = links[0]?.anchor?.file
    if (!file) throw new Error('a link is of a file or of a directory')
    return { node: this.#fileNode(file), links: ids, isGenerated }
  }

  #fileNode(file: ModelFile): ModelNode {
    const known = this.#nodes.get(file)
    if (known) return known
    const { operation } = file.first.root.made
    if (operation.type !== 'create') throw new Error('the root of versions is a create')
    const { kind, mode, uid, gid, rdev, target, time } = operation
    const attributes = {
      ...{ mode, uid, gid, atime: time, mtime: time, ctime: time },
      xattrs: new Map<Name, Uint8Array>()
    }
    const changes = this.#changesOf(file)
    const isReversed = this.#mutation === 'the first change of attributes stays'
    for (const made of isReversed ? changes.toReversed() : changes)
      setAttributes(attributes, made.operation)
    const node: ModelNode = {
      ...{ kind, ids: [file.first.made.id], version: file.tip.made.id, rdev, target },
      ...{ nlink: this.#shownLinks(file).length, size: sizeOf(file.tip) },
      ...{ content: runsOf(file.tip), children: new Map() },
      ...{ ...attributes, xattrs: sorted(attributes.xattrs) }
    }
    this.#nodes.set(file, node)
    return node
  }

  /** The operations that set attributes or times of a file, in order. */
  #changesOf(file: ModelFile): readonly ModelOperation[] {
    const renames = new Set(this.#renamed.get(file))
    return this.#operations.filter(made => {
      if (renames.has(made)) return true
      const version = this.#content.madeBy(made) ?? this.#baseOf(made)
      if (!version) return false
      if (this.#mutation === 'attributes apply to every branch') {
        return version.root === file.first.root
      }
      if (version.file === file) return true
      const { first } = file
      return isAncestor(version, first) && (saw(first.made, made) || made === version.made)
    })
  }

  /** The version that an operation on attributes saw. */
  #baseOf(made: ModelOperation): ModelVersion | undefined {
    const { operation } = made
    switch (operation.type) {
      case 'setattr':
      case 'setxattr':
      case 'removexattr':
        return this.#content.seen(made, operation.base)
      default:
        return undefined
    }
  }
}

/** Leaves out what is made in directories that are not there. */
function withoutOrphans(operations: readonly ModelOperation[]): readonly ModelOperation[] {
  const directories = new Map<string, ModelOperation>()
  return operations.filter(made => {
    const { operation } = made
    if (operation.type !== 'create' && operation.type !== 'mkdir') return true
    const parent = directories.get(keyOf(operation.parent))
    const isThere = keyOf(operation.parent) === ROOT_KEY || (parent && saw(made, parent))
    if (isThere && operation.type === 'mkdir') directories.set(made.key, made)
    return isThere
  })
}

type CreateOrMkdir = Pick<MkdirOperation, 'parent' | 'name' | 'time'>

type Attributes = Pick<Directory, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime' | 'ctime' | 'xattrs'>

/** Sets what an operation sets; operations come in order, so the last one wins. */
function setAttributes(attributes: Attributes, operation: Operation): void {
  attributes.ctime = timeOf(operation)
  switch (operation.type) {
    case 'setattr':
      attributes.mode = operation.mode ?? attributes.mode
      attributes.uid = operation.uid ?? attributes.uid
      attributes.gid = operation.gid ?? attributes.gid
      attributes.atime = operation.atime ?? attributes.atime
      attributes.mtime = operation.mtime ?? attributes.mtime
      return
    case 'setxattr':
      attributes.xattrs.set(operation.name, operation.value)
      return
    case 'removexattr':
      attributes.xattrs.delete(operation.name)
      return
    case 'write':
    case 'truncate':
      attributes.mtime = operation.time
      return
    default:
  }
}

function timeOf(operation: Operation): Timestamp {
  return 'time' in operation ? operation.time : EPOCH
}

function touch(directory: Directory, time: Timestamp): void {
  directory.mtime = time
  directory.ctime = time
}

/** Whether some removal's author had seen a use. Its own entry counts as seen to the end. */
function isCovered(use: ModelOperation, removals: readonly ModelOperation[]): boolean {
  return removals.some(removal => removal.entry === use.entry || saw(removal, use))
}

function isWithin(directory: Directory, other: Directory): boolean {
  const seen = new Set<Directory>()
  for (let at: Directory | undefined = directory; at && !seen.has(at); at = at.place?.parent) {
    if (at === other) return true
    seen.add(at)
  }
  return false
}

/** Where the author of an operation saw a link. */
function placeSeenBy(by: ModelOperation, link: Link): Place | undefined {
  const { anchor, openedBy } = link
  const tip = anchor && tipSeenBy(by, anchor)
  const moved = link.seenPlaces.findLast(
    place => saw(by, place.by) && (!place.tip || isAncestor(place.tip, tip))
  )
  if (moved && !link.isDerived) return moved
  const own = link.isDerived ? link.places.findLast(place => saw(by, place.by)) : link.places[0]
  return own ?? (openedBy && placeSeenBy(by, openedBy))
}

function compareClaims(left: Claim, right: Claim): number {
  const [leftLink, rightLink] = [left.links[0], right.links[0]]
  if (!leftLink || !rightLink) return 0
  return compareOperations(left.by, right.by) || compareOperations(leftLink.made, rightLink.made)
}

function freeName({ name, by }: Claim, taken: ReadonlyMap<Name, unknown>): Name {
  for (let attempt = 1; ; attempt++) {
    const generated = conflictName(name, by.entry, attempt)
    if (!taken.has(generated)) return generated
  }
}

function rootDirectory(): Directory {
  return {
    ...{ id: ROOT_ID, made: undefined, link: undefined, place: undefined },
    ...{ mode: 0o755, uid: 0, gid: 0, atime: EPOCH, mtime: EPOCH, ctime: EPOCH },
    xattrs: new Map()
  }
}

function sorted<T>(map: ReadonlyMap<Name, T>): ReadonlyMap<Name, T> {
  return new Map([...map].sort(([left], [right]) => (left < right ? -1 : 1)))
}

/**
 * The canonical text of a tree: equal texts are equal trees. One line for each name, its
 * attributes and content indented below it.
 */
export function dump(tree: ModelTree): string {
  return ['/', ...dumpNode(tree, '  ')].join('\n') + '\n'
}

function dumpNode(node: ModelNode, indent: string): string[] {
  const { mode, uid, gid, rdev, nlink, size } = node
  const lines = [
    `${node.kind} ${node.ids.map(keyOf).join(' ')}`,
    `version=${node.version ? keyOf(node.version) : '-'}`,
    `mode=${mode.toString(8)} uid=${uid} gid=${gid} rdev=${rdev} nlink=${nlink} size=${size}`,
    ...(['atime', 'mtime', 'ctime'] as const).map(
      field => `${field}=${node[field].sec}.${String(node[field].nsec).padStart(9, '0')}`
    )
  ]
  if (node.kind === 'symlink') lines.push(`target=${hex(node.target)}`)
  for (const [name, value] of node.xattrs) lines.push(`xattr ${quoted(name)}=${hex(value)}`)
  for (const run of node.content) lines.push(dumpRun(run))
  const own = lines.map(line => indent + line)
  for (const [name, child] of node.children) {
    const mark = child.isGenerated ? ' generated' : ''
    own.push(`${indent}${quoted(name)} link=${child.links.map(keyOf).join(' ')}${mark}`)
    own.push(...dumpNode(child.node, `${indent}  `))
  }
  return own
}

function dumpRun(run: ModelRun): string {
  if (run.kind === 'inline') return `${run.offset}+${run.bytes.length} inline ${hex(run.bytes)}`
  return `${run.offset}+${run.length} block ${run.log}:${run.index}+${run.blockOffset}`
}

function quoted(name: Name): string {
  return JSON.stringify(name)
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
