/**
 * Does the steps of a random history on a {@link VfsTwins}: keeps what is open and held on both
 * sides, and turns the small numbers of a {@link VfsCommand} into it.
 *
 * @module
 */
import {
  O_RDONLY,
  ROOT_INODE,
  S_IFDIR,
  S_IFREG,
  type AttributeChanges,
  type HandleId,
  type InodeNumber,
  type Place,
  type Vfs
} from '../../src/fs/vfs.ts'
import type { Timestamp } from '../../src/sync/clock.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { VirtualClock } from './virtual-clock.ts'
import {
  HELD_FROM,
  type CommandChanges,
  type CommandPlace,
  type DirectoryCommand,
  type ExistingPlace,
  type HandleCommand,
  type HeldCommand,
  type PathPlace,
  type PlaceCommand,
  type TwoPlacesCommand,
  type VfsCommand
} from './vfs-command.ts'
import { TEST_CALLER, joined, patternBytes } from './vfs-session.ts'
import {
  ROOT_TWIN,
  VfsMismatch,
  expectSame,
  listing,
  listingTypes,
  mapTwin,
  settle,
  type ListedRow,
  type Side,
  type Twin,
  type VfsTwins
} from './vfs-twins.ts'

/** How many files, directories and held inodes there are at once; more are skipped. */
const OPEN_MAX = 12
/** How much is read at once when a range is looked at for zeros. */
const CHUNK_BYTES = 1024 * 1024

/** Where nothing is, for a tree without names. */
const NO_PLACE: PathPlace = { base: 0, path: [], name: 'a' }

const opaque = () => 'opened'

interface OpenFile {
  readonly handle: Twin<HandleId>
  readonly inode: Twin<InodeNumber>
}

interface OpenDirectory {
  readonly handle: Twin<HandleId>
  offset: Twin<number>
  names: Twin<readonly string[]>
}

/** A history under way. */
export class VfsHistory {
  readonly #twins: VfsTwins
  readonly #clock: VirtualClock
  readonly #reopen: (() => Promise<Vfs>) | undefined
  #files: OpenFile[] = []
  #directories: OpenDirectory[] = []
  #held: Twin<InodeNumber>[] = []
  /** Made by tmpfile and never linked: nothing of them outlives a restart, not the number. */
  readonly #nameless = new Set<Twin<InodeNumber>>()
  #later: Promise<unknown>[] = []
  readonly #paths = new Map<CommandPlace, PathPlace>()

  /** @param options - `reopen` closes the subject and opens it again; without it such steps do nothing */
  constructor(options: {
    readonly twins: VfsTwins
    readonly clock: VirtualClock
    readonly reopen: (() => Promise<Vfs>) | undefined
  }) {
    this.#twins = options.twins
    this.#clock = options.clock
    this.#reopen = options.reopen
  }

  /** Does one step on both and compares the answers. @throws {VfsMismatch} */
  async apply(command: VfsCommand): Promise<void> {
    this.#paths.clear()
    for (const key of ['at', 'from', 'to'] as const) {
      const place: unknown = Reflect.get(command, key)
      if (typeof place === 'object') this.#path(place as CommandPlace)
    }
    if ('at' in command) return this.#applyAt(command)
    if ('from' in command) return this.#applyToTwo(command)
    if ('held' in command) return this.#applyToHeld(command)
    if ('handle' in command) return this.#applyToFile(command)
    if ('directory' in command) return this.#applyToDirectory(command)
    if (command.kind === 'tick') this.#clock.advance(command.ms)
    if (command.kind === 'syncfs') await this.#twins.both('syncfs', async s => s.vfs.syncfs())
    if (command.kind === 'reopen') await this.#applyReopen(command.releaseFirst)
  }

  /** Waits for what was started and not awaited, and gives back all that is open and held. */
  async finish(): Promise<void> {
    await this.#settleLater()
    await this.#giveBack(this.#twins.sides())
  }

  // At a place

  async #applyAt(command: PlaceCommand): Promise<void> {
    const { kind, at } = command
    const twins = this.#twins
    switch (command.kind) {
      case 'lookup':
        return void (await twins.attributes(kind, s => s.vfs.lookup(this.#place(s, at))))
      case 'hold':
        return this.#holdAt(at)
      case 'readlink':
        return void (await twins.both(kind, s => s.vfs.readlink(this.#inode(s, at))))
      case 'list':
        return void (await twins.both(kind, s => listing(s.vfs, this.#inode(s, at)), listingTypes))
      case 'unlink':
        return void (await twins.both(kind, s => s.vfs.unlink(this.#place(s, at))))
      case 'rmdir':
        return void (await twins.both(kind, s => s.vfs.rmdir(this.#place(s, at))))
      case 'opendir':
        return this.#opendir(at)
      case 'open':
        return this.#open(kind, command.flags, s => this.#inode(s, at))
      case 'setattr':
        return this.#setattr(kind, command.changes, s => this.#inode(s, at))
      case 'getxattr':
      case 'removexattr':
      case 'setxattr':
        return this.#xattr(command)
      default:
        return this.#make(command)
    }
  }

  async #make(
    command: Extract<PlaceCommand, { kind: 'mkdir' | 'mknod' | 'symlink' | 'create' | 'tmpfile' }>
  ): Promise<void> {
    const { kind, at } = command
    switch (command.kind) {
      case 'mkdir':
        await this.#twins.attributes(kind, s =>
          s.vfs.mkdir(this.#place(s, at), command.mode, TEST_CALLER)
        )
        return
      case 'mknod': {
        const node = { mode: command.mode, rdev: 0x0105 }
        await this.#twins.attributes(kind, s => s.vfs.mknod(this.#place(s, at), node, TEST_CALLER))
        return
      }
      case 'symlink': {
        const target = new Uint8Array(command.length).fill(97)
        await this.#twins.attributes(kind, s =>
          s.vfs.symlink(this.#place(s, at), target, TEST_CALLER)
        )
        return
      }
      default:
        return this.#create(command)
    }
  }

  async #create(command: Extract<PlaceCommand, { kind: 'create' | 'tmpfile' }>): Promise<void> {
    if (this.#files.length >= OPEN_MAX) return
    const made = await this.#twins.both(
      command.kind,
      side => {
        const place = this.#place(side, command.at)
        return command.kind === 'create'
          ? side.vfs.create(place, command, TEST_CALLER)
          : side.vfs.tmpfile(place.parent, command, TEST_CALLER)
      },
      value => this.#twins.comparable(value.attributes)
    )
    if (!made) return
    const inode = mapTwin(made, opened => opened.attributes.ino)
    this.#twins.pair(inode)
    this.#files.push({ handle: mapTwin(made, opened => opened.handle), inode })
    // The kernel remembers what it made; without it nobody could give a nameless file a name.
    if (command.kind !== 'tmpfile') return
    this.#nameless.add(inode)
    await this.#hold(inode)
  }

  async #open(what: string, flags: number, find: (side: Side) => InodeNumber): Promise<void> {
    if (this.#files.length >= OPEN_MAX) return
    const opened = await this.#twins.both(
      what,
      async side => {
        const inode = find(side)
        return { inode, handle: await side.vfs.open(inode, flags) }
      },
      opaque
    )
    if (!opened) return
    const inode = mapTwin(opened, one => one.inode)
    this.#files.push({ inode, handle: mapTwin(opened, one => one.handle) })
  }

  async #opendir(at: CommandPlace): Promise<void> {
    if (this.#directories.length >= OPEN_MAX) return
    const handle = await this.#twins.both('opendir', s => s.vfs.opendir(this.#inode(s, at)), opaque)
    if (handle) this.#directories.push(newlyOpened(handle))
  }

  async #holdAt(at: CommandPlace): Promise<void> {
    const found = await this.#twins.attributes('hold', s => s.vfs.lookup(this.#place(s, at)))
    if (found) await this.#hold(mapTwin(found, attributes => attributes.ino))
  }

  async #hold(inode: Twin<InodeNumber>): Promise<void> {
    if (this.#held.length >= OPEN_MAX) return
    await this.#twins.both('remember', s => s.vfs.remember(s.of(inode)))
    this.#held.push(inode)
  }

  async #setattr(
    what: string,
    changes: CommandChanges,
    find: (side: Side) => InodeNumber
  ): Promise<void> {
    const { atime, mtime, ...rest } = changes
    const asked: AttributeChanges = {
      ...rest,
      ...(atime === undefined ? {} : { atime: timestamp(atime) }),
      ...(mtime === undefined ? {} : { mtime: timestamp(mtime) })
    }
    await this.#twins.attributes(what, s => s.vfs.setattr(find(s), asked))
  }

  async #xattr(
    command: Extract<PlaceCommand, { kind: 'getxattr' | 'removexattr' | 'setxattr' }>
  ): Promise<void> {
    const name = command.xattr as Name
    await this.#twins.both(command.kind, side => {
      const inode = this.#inode(side, command.at)
      switch (command.kind) {
        case 'getxattr':
          return side.vfs.getxattr(inode, name)
        case 'removexattr':
          return side.vfs.removexattr(inode, name)
        case 'setxattr':
          return side.vfs.setxattr(inode, name, patternBytes(command.length, 5), command.mode)
      }
    })
  }

  async #applyToTwo(command: TwoPlacesCommand): Promise<void> {
    const { from, to } = command
    if (command.kind === 'link') {
      await this.#twins.attributes('link', s =>
        s.vfs.link(this.#inode(s, from), this.#place(s, to))
      )
      return
    }
    await this.#twins.both(`rename ${command.mode}`, s =>
      s.vfs.rename(this.#place(s, from), this.#place(s, to), command.mode)
    )
  }

  // On what is held or open

  async #applyToHeld(command: HeldCommand): Promise<void> {
    const held = pick(this.#held, command.held)
    if (!held) return
    switch (command.kind) {
      case 'forget held':
        this.#held.splice(this.#held.indexOf(held), 1)
        await this.#twins.both(command.kind, s => s.vfs.forget(s.of(held), 1))
        return
      case 'getattr held':
        await this.#twins.attributes(command.kind, s => s.vfs.getattr(s.of(held)))
        return
      case 'link held':
        return this.#linkHeld(held, command.to)
      case 'open held':
        return this.#open(command.kind, command.flags, s => s.of(held))
      case 'setattr held':
        return this.#setattr(command.kind, command.changes, s => s.of(held))
    }
  }

  async #linkHeld(held: Twin<InodeNumber>, to: CommandPlace): Promise<void> {
    const linked = await this.#twins.attributes('link held', s =>
      s.vfs.link(s.of(held), this.#place(s, to))
    )
    if (linked) this.#nameless.delete(held)
  }

  async #applyToFile(command: HandleCommand): Promise<void> {
    const file = pick(this.#files, command.handle)
    if (!file) return
    const { handle } = file
    const twins = this.#twins
    switch (command.kind) {
      case 'write':
        return void (await twins.both(command.kind, s =>
          writeBorrowed(s.vfs, s.of(handle), command)
        ))
      case 'read':
        return void (await twins.both(command.kind, async s =>
          joined(await s.vfs.read(s.of(handle), command))
        ))
      case 'fallocate':
        return void (await twins.both(command.kind, s => s.vfs.fallocate(s.of(handle), command)))
      case 'seek':
        return this.#seek(file, command)
      case 'copy':
        return this.#copy(file, command)
      case 'flush':
        return void (await twins.both(command.kind, async s => s.vfs.flush(s.of(handle))))
      case 'fsync':
        return void (await twins.both(command.kind, async s => s.vfs.fsync(s.of(handle))))
      case 'fsync later':
        return this.#startLater(twins.both(command.kind, async s => s.vfs.fsync(s.of(handle))))
      case 'release':
        // The kernel releases a file when nobody is in a call on it any more.
        await this.#settleLater()
        this.#files.splice(this.#files.indexOf(file), 1)
        await twins.both(command.kind, async s => s.vfs.release(s.of(handle)))
    }
  }

  async #copy(from: OpenFile, command: Extract<HandleCommand, { kind: 'copy' }>): Promise<void> {
    const to = pick(this.#files, command.to) ?? from
    await this.#twins.both('copy', s =>
      s.vfs.copyFileRange(
        { handle: s.of(from.handle), offset: command.fromOffset },
        { handle: s.of(to.handle), offset: command.toOffset },
        command.length
      )
    )
  }

  /**
   * Where holes begin and end is the subject's own affair, as long as it is true: what seek
   * passes over when it looks for data is zeros, and where it finds a hole there is a zero.
   */
  async #seek(file: OpenFile, at: Extract<HandleCommand, { kind: 'seek' }>): Promise<void> {
    const { size } = this.#twins.model.getattr(file.inode.model)
    const { subject } = await this.#twins.outcomes('seek', s => s.vfs.seek(s.of(file.handle), at))
    const what = `seek ${at.whence} from ${at.offset} in ${size} bytes`
    const answer = subject.code ?? subject.value
    if (at.offset >= size) return expectSame(what, { model: 'ENXIO', subject: answer })
    const found = at.whence === 'data' && subject.code === 'ENXIO' ? size : subject.value
    if (found === undefined || found < at.offset || found > size) {
      throw new VfsMismatch(`${what}: ${String(answer)}`)
    }
    const zeros =
      at.whence === 'data'
        ? { start: at.offset, end: found }
        : { start: found, end: Math.min(size, found + 1) }
    if (!(await this.#areZeros(file, zeros))) {
      throw new VfsMismatch(`${what}: ${String(answer)}, but the model has data there`)
    }
  }

  async #areZeros(file: OpenFile, range: { readonly start: number; readonly end: number }) {
    const { model } = this.#twins
    const handle = await model.open(file.inode.model, O_RDONLY)
    try {
      for (let at = range.start; at < range.end;) {
        const data = await settle(() => model.seek(handle, { offset: at, whence: 'data' }))
        if (data.value === undefined || data.value >= range.end) return true
        const length = Math.min(CHUNK_BYTES, range.end - data.value)
        const bytes = joined(await model.read(handle, { offset: data.value, length }))
        if (bytes.some(byte => byte !== 0)) return false
        at = data.value + length
      }
      return true
    } finally {
      await model.release(handle)
    }
  }

  async #applyToDirectory(command: DirectoryCommand): Promise<void> {
    const open = pick(this.#directories, command.directory)
    if (!open) return
    if (command.kind === 'releasedir') {
      this.#directories.splice(this.#directories.indexOf(open), 1)
      await this.#twins.both(command.kind, s => s.vfs.releasedir(s.of(open.handle)))
      return
    }
    const read = await this.#twins.both(
      command.kind,
      s => someRows(s, open, command.rows),
      rows => ({ count: rows.names.length, ended: rows.ended })
    )
    if (!read) return
    open.names = mapTwin(open.names, (names, which) => [...names, ...read[which].names])
    open.offset = mapTwin(read, rows => rows.offset)
    if (!read.model.ended) return
    expectSame(
      'readdir',
      mapTwin(open.names, names => names.toSorted())
    )
    Object.assign(open, newlyOpened(open.handle))
  }

  // The whole

  async #applyReopen(releaseFirst: boolean): Promise<void> {
    if (!this.#reopen) return
    await this.#settleLater()
    const [model, subject] = this.#twins.sides()
    await this.#twins.both('syncfs', async s => s.vfs.syncfs())
    await this.#giveBack(releaseFirst ? [model, subject] : [model])
    if (releaseFirst) await this.#twins.both('syncfs', async s => s.vfs.syncfs())
    this.#twins.replaceSubject(await this.#reopen())
    for (const inode of this.#nameless) this.#twins.unpair(inode)
    this.#nameless.clear()
    await this.#twins.compareTrees({ content: true })
  }

  async #giveBack(sides: readonly Side[]): Promise<void> {
    for (const side of sides) {
      for (const file of this.#files) await side.vfs.release(side.of(file.handle))
      for (const open of this.#directories) side.vfs.releasedir(side.of(open.handle))
      for (const inode of this.#held) side.vfs.forget(side.of(inode), 1)
    }
    this.#files = []
    this.#directories = []
    this.#held = []
  }

  /** A failure is kept and thrown when the call is waited for. */
  #startLater(call: Promise<unknown>): void {
    this.#later.push(call.then(() => undefined).catch((error: unknown) => ({ error })))
  }

  async #settleLater(): Promise<void> {
    const started = this.#later
    this.#later = []
    for (const outcome of await Promise.all(started)) {
      if (outcome !== undefined) throw (outcome as { error: unknown }).error
    }
  }

  #place(side: Side, place: CommandPlace): Place {
    const at = this.#path(place)
    const held = at.base < HELD_FROM ? undefined : pick(this.#held, at.base - HELD_FROM)
    let parent = side.of(held ?? ROOT_TWIN)
    for (const name of at.path) parent = side.vfs.lookup({ parent, name: name as Name }).ino
    return { parent, name: at.name as Name }
  }

  /** The path of a place. Found once a step, before either side is changed by it. */
  #path(place: CommandPlace): PathPlace {
    if (!('nth' in place)) return place
    const known = this.#paths.get(place)
    if (known) return known
    const found = pick(placesOf(this.#twins.model, place.among), place.nth) ?? NO_PLACE
    this.#paths.set(place, found)
    return found
  }

  #inode(side: Side, place: CommandPlace): InodeNumber {
    return side.vfs.lookup(this.#place(side, place)).ino
  }
}

function pick<T>(from: readonly T[], number: number): T | undefined {
  return from[number % Math.max(1, from.length)]
}

/** Every name in a tree, sorted within its directory. */
function placesOf(vfs: Vfs, among: ExistingPlace['among']): readonly PathPlace[] {
  const places: PathPlace[] = []
  const walk = (ino: InodeNumber, path: readonly string[]): void => {
    const rows = listing(vfs, ino)
    for (const name of [...rows.keys()].toSorted()) {
      const row = rows.get(name) as ListedRow
      if (name === '.' || name === '..') continue
      const isWanted =
        among === 'all' || (among === 'files' ? row.type === S_IFREG : row.type === S_IFDIR)
      if (isWanted) places.push({ base: 0, path, name })
      if (row.type === S_IFDIR) walk(row.ino, [...path, name])
    }
  }
  walk(ROOT_INODE, [])
  return places
}

function newlyOpened(handle: Twin<HandleId>): OpenDirectory {
  return { handle, offset: { model: 0, subject: 0 }, names: { model: [], subject: [] } }
}

/** Writes from a buffer that is overwritten as soon as the call returns. */
function writeBorrowed(
  vfs: Vfs,
  handle: HandleId,
  command: Extract<HandleCommand, { kind: 'write' }>
) {
  const data = patternBytes(command.length, command.seed + 1)
  const written = vfs.write(handle, data, command)
  data.fill(0xee)
  return written
}

/** Goes on in a listing by up to `count` rows. */
function someRows(side: Side, open: OpenDirectory, count: number) {
  const names: string[] = []
  let offset = side.of(open.offset)
  let ended = true
  side.vfs.readdir(side.of(open.handle), offset, row => {
    if (names.length === count) {
      ended = false
      return false
    }
    names.push(row.name)
    offset = row.nextOffset
    return true
  })
  return { names, offset, ended }
}

function timestamp(time: number | 'now'): Timestamp | 'now' {
  return time === 'now' ? 'now' : { sec: time, nsec: Math.abs(time * 7919) % 1_000_000_000 }
}
