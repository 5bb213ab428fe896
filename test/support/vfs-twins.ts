/**
 * Two file systems that are told the same and must answer the same: the model and the subject.
 *
 * What may differ is left out of the comparison: inode numbers (but which number stands for
 * which inode must hold for ever, so one that changes or is used again is found), allocated
 * space, the size of a directory and the order of a listing.
 *
 * @module
 */
import { inspect, isDeepStrictEqual } from 'node:util'
import { FsError } from '../../src/fs/fs-error.ts'
import {
  O_RDONLY,
  ROOT_INODE,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  type Attributes,
  type HandleId,
  type InodeNumber,
  type MaybePromise,
  type Vfs
} from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { joined } from './vfs-session.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** A call that has not answered after this long gets its timers: the clock moves on. */
const STALL_MS = 50
/** How much of the clock a stalled call gets each time. */
const STALL_ADVANCE_MS = 250
/** Files up to this size are compared whole, larger ones where either side has data. */
const WHOLE_BYTES_MAX = 8 * 1024 * 1024
/** How much of a large file's holes is looked at. */
const HOLE_SAMPLE_BYTES = 64 * 1024

/** Which of the two. */
export type Which = 'model' | 'subject'

/** The same thing on both sides. */
export interface Twin<T> {
  /** On the model. */
  readonly model: T
  /** On the subject. */
  readonly subject: T
}

/** One of the two, as a call sees it. */
export interface Side {
  /** Which one. */
  readonly which: Which
  /** Its file system. */
  readonly vfs: Vfs
  /** Its half of a twin. */
  readonly of: <T>(twin: Twin<T>) => T
}

/** What a call came to. */
export interface Outcome<T> {
  /** Its errno, if it failed. */
  readonly code?: string
  /** Its result, if it did not. */
  readonly value?: T
}

/** The two answered differently. */
export class VfsMismatch extends Error {
  override readonly name = 'VfsMismatch'
}

/** The root directory on both sides. */
export const ROOT_TWIN: Twin<InodeNumber> = { model: ROOT_INODE, subject: ROOT_INODE }

/** Changes both halves of a twin. */
export function mapTwin<T, U>(twin: Twin<T>, change: (value: T, which: Which) => U): Twin<U> {
  return { model: change(twin.model, 'model'), subject: change(twin.subject, 'subject') }
}

/** The model and the subject. */
export class VfsTwins {
  #vfs: Twin<Vfs>
  readonly #clock: VirtualClock
  readonly #times: 'exact' | 'ignore'
  readonly #callMsMax: number
  readonly #subjectNumbers = new Map<InodeNumber, InodeNumber>()
  readonly #modelNumbers = new Map<InodeNumber, InodeNumber>()

  /**
   * @param options - `times` says whether the subject takes its times from `clock`, too;
   *   `callMsMax` is how long a call may take in real time before it counts as hung
   */
  constructor(options: {
    readonly vfs: Twin<Vfs>
    readonly clock: VirtualClock
    readonly times: 'exact' | 'ignore'
    readonly callMsMax: number
  }) {
    this.#vfs = options.vfs
    this.#clock = options.clock
    this.#times = options.times
    this.#callMsMax = options.callMsMax
  }

  /** The model, to be asked without the subject. */
  get model(): Vfs {
    return this.#vfs.model
  }

  /** Goes on with another subject: the old one was closed and opened again. */
  replaceSubject(subject: Vfs): void {
    this.#vfs = { model: this.#vfs.model, subject }
  }

  /** The two, model first. */
  sides(): readonly [Side, Side] {
    const side = (which: Which): Side => ({
      which,
      vfs: this.#vfs[which],
      of: twin => twin[which]
    })
    return [side('model'), side('subject')]
  }

  /**
   * Calls on both sides and compares what comes of it.
   *
   * @param comparable - what of a result must be the same; all of it by default
   * @returns the two results, or undefined when both failed alike
   * @throws {VfsMismatch}
   */
  async both<T>(
    what: string,
    call: (side: Side) => MaybePromise<T>,
    comparable: (value: T) => unknown = value => value
  ): Promise<Twin<T> | undefined> {
    const { model, subject } = await this.outcomes(what, call)
    const shown = (outcome: Outcome<T>) =>
      outcome.code === undefined ? comparable(outcome.value as T) : `fails with ${outcome.code}`
    expectSame(what, { model: shown(model), subject: shown(subject) })
    if (model.code !== undefined) return undefined
    return { model: model.value as T, subject: subject.value as T }
  }

  /** Calls on both sides. The calls start in the same tick, the model's first. */
  async outcomes<T>(
    what: string,
    call: (side: Side) => MaybePromise<T>
  ): Promise<Twin<Outcome<T>>> {
    const [first, second] = this.sides()
    const model = settle(() => call(first))
    const subject = settle(() => call(second))
    if (!(model instanceof Promise) && !(subject instanceof Promise)) return { model, subject }
    const both = Promise.all([model, subject])
    return this.#withDeadline(
      what,
      both.then(outcomes => ({ model: outcomes[0], subject: outcomes[1] }))
    )
  }

  /** Calls on both sides for attributes, and compares them. */
  async attributes(
    what: string,
    call: (side: Side) => MaybePromise<Attributes>
  ): Promise<Twin<Attributes> | undefined> {
    const both = await this.both(what, call, value => this.comparable(value))
    if (both) this.pair(mapTwin(both, attributes => attributes.ino))
    return both
  }

  /** What of an inode's attributes must be the same. */
  comparable(attributes: Attributes): unknown {
    const { mode, nlink, uid, gid, rdev, size, atime, mtime, ctime } = attributes
    const isDirectory = (mode & S_IFMT) === S_IFDIR
    return {
      ...{ mode: mode.toString(8), nlink, uid, gid, rdev },
      ...(isDirectory ? {} : { size }),
      ...(this.#times === 'exact' ? { atime, mtime, ctime } : {})
    }
  }

  /** Two numbers that are the same inode once are so for ever. @throws {VfsMismatch} */
  pair(inode: Twin<InodeNumber>): void {
    const subject = this.#subjectNumbers.get(inode.model)
    const model = this.#modelNumbers.get(inode.subject)
    if (subject === inode.subject && model === inode.model) return
    if (subject !== undefined || model !== undefined) {
      throw new VfsMismatch(
        `inode numbers: the subject answers ${inode.subject} for the model's ${inode.model}; ` +
          `before, that was ${String(subject)}, and ${inode.subject} was ${String(model)}`
      )
    }
    this.#subjectNumbers.set(inode.model, inode.subject)
    this.#modelNumbers.set(inode.subject, inode.model)
  }

  /** From here on the numbers may stand for something else. */
  unpair(inode: Twin<InodeNumber>): void {
    this.#subjectNumbers.delete(inode.model)
    this.#modelNumbers.delete(inode.subject)
  }

  /** Compares the whole trees: names, attributes, and with `content` also bytes. */
  async compareTrees(options: { readonly content: boolean }): Promise<void> {
    const seen = new Set<InodeNumber>()
    const pending: [string, Twin<InodeNumber>][] = [['', ROOT_TWIN]]
    for (let next = pending.pop(); next; next = pending.pop()) {
      const [path, directory] = next
      await this.#compareNode(`the tree: ${path}/`, directory, options)
      for (const [name, child] of await this.#children(path, directory)) {
        const childPath = `${path}/${JSON.stringify(name)}`
        this.pair(mapTwin(child, row => row.ino))
        const inode = mapTwin(child, row => row.ino)
        if (child.model.type === S_IFDIR) pending.push([childPath, inode])
        else if (!seen.has(inode.model)) {
          await this.#compareNode(`the tree: ${childPath}`, inode, options)
        }
        seen.add(inode.model)
      }
    }
  }

  async #children(path: string, directory: Twin<InodeNumber>) {
    const listed = await this.both(
      `the tree: list ${path}/`,
      side => listing(side.vfs, side.of(directory)),
      listingTypes
    )
    if (!listed) throw new VfsMismatch(`the tree: ${path}/ cannot be listed`)
    const children: [Name, Twin<ListedRow>][] = []
    for (const [name, model] of listed.model) {
      const subject = listed.subject.get(name)
      if (!subject || name === '.' || name === '..') continue
      children.push([name, { model, subject }])
    }
    return children
  }

  async #compareNode(
    what: string,
    inode: Twin<InodeNumber>,
    options: { readonly content: boolean }
  ): Promise<void> {
    const attributes = await this.attributes(what, side => side.vfs.getattr(side.of(inode)))
    if (!attributes) throw new VfsMismatch(`${what}: listed, and has no attributes`)
    await this.both(`${what}: xattrs`, side => xattrs(side.vfs, side.of(inode)))
    const type = attributes.model.mode & S_IFMT
    if (type === S_IFLNK) {
      await this.both(`${what}: target`, side => side.vfs.readlink(side.of(inode)))
    }
    if (type === S_IFREG && options.content) {
      await this.#compareContent(`${what}: content`, inode, attributes.model.size)
    }
  }

  async #compareContent(what: string, inode: Twin<InodeNumber>, size: number): Promise<void> {
    const handle = await this.both(
      what,
      side => side.vfs.open(side.of(inode), O_RDONLY),
      () => 'opened'
    )
    if (!handle) throw new VfsMismatch(`${what}: cannot be opened`)
    const ranges =
      size <= WHOLE_BYTES_MAX
        ? [{ offset: 0, length: size + 1 }]
        : this.sides().flatMap(side => dataRanges(side.vfs, side.of(handle)))
    for (const range of ranges) {
      await this.both(`${what} at ${range.offset}`, async side =>
        joined(await side.vfs.read(side.of(handle), range))
      )
    }
    await this.both(what, async side => side.vfs.release(side.of(handle)))
  }

  async #withDeadline<T>(what: string, promise: Promise<T>): Promise<T> {
    const started = performance.now()
    let timer: NodeJS.Timeout | undefined
    const hung = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        this.#clock.advance(STALL_ADVANCE_MS)
        if (performance.now() - started > this.#callMsMax) {
          reject(new VfsMismatch(`${what}: no answer in ${this.#callMsMax} ms`))
        }
      }, STALL_MS)
    })
    return Promise.race([promise, hung]).finally(() => clearInterval(timer))
  }
}

/** A row of a listing, without its place in it. */
export interface ListedRow {
  /** Inode number. */
  readonly ino: InodeNumber
  /** Type bits. */
  readonly type: number
}

/** A whole directory, `.` and `..` included. */
export function listing(vfs: Vfs, ino: InodeNumber): ReadonlyMap<Name, ListedRow> {
  const handle = vfs.opendir(ino)
  const rows = new Map<Name, ListedRow>()
  try {
    vfs.readdir(handle, 0, row => {
      if (rows.has(row.name)) throw new VfsMismatch(`${JSON.stringify(row.name)} is listed twice`)
      rows.set(row.name, { ino: row.ino, type: row.type })
      return true
    })
  } finally {
    vfs.releasedir(handle)
  }
  return rows
}

/** What of a listing must be the same: names with types. */
export function listingTypes(rows: ReadonlyMap<Name, ListedRow>): unknown {
  return [...rows].map(([name, row]) => `${name}: ${row.type.toString(8)}`).toSorted()
}

/** Runs a call and catches what it fails with; anything but an errno goes on. */
export function settle<T>(call: () => MaybePromise<T>): MaybePromise<Outcome<T>> {
  try {
    const value = call()
    if (!(value instanceof Promise)) return { value }
    return value.then(result => ({ value: result }), failed)
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): { readonly code: string } {
  if (error instanceof FsError) return { code: error.code }
  throw error
}

/** @throws {VfsMismatch} when the two are not the same all the way down */
export function expectSame(what: string, values: Twin<unknown>): void {
  const [model, subject] = [plain(values.model), plain(values.subject)]
  if (isDeepStrictEqual(model, subject)) return
  const print = (value: unknown) =>
    inspect(value, { depth: 5, maxArrayLength: 24, maxStringLength: 200, breakLength: 200 })
  const where =
    typeof model === 'string' && typeof subject === 'string'
      ? `, from character ${firstDifference(model, subject)}`
      : ''
  throw new VfsMismatch(`${what}${where}\n  model:   ${print(model)}\n  subject: ${print(subject)}`)
}

/** Bytes are the same whatever class holds them. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

function firstDifference(one: string, other: string): number {
  let at = 0
  while (at < one.length && one[at] === other[at]) at++
  return at
}

async function xattrs(vfs: Vfs, ino: InodeNumber): Promise<Record<string, Uint8Array>> {
  const values: Record<string, Uint8Array> = {}
  for (const name of [...vfs.listxattr(ino)].toSorted())
    values[name] = await vfs.getxattr(ino, name)
  return values
}

/** Where a file has data, with a little of the holes around it. */
function dataRanges(vfs: Vfs, handle: HandleId): { offset: number; length: number }[] {
  const ranges: { offset: number; length: number }[] = []
  const find = (offset: number, whence: 'data' | 'hole') => {
    try {
      return vfs.seek(handle, { offset, whence })
    } catch {
      return undefined
    }
  }
  for (let start = find(0, 'data'); start !== undefined;) {
    const end = find(start, 'hole') ?? start + 1
    const offset = Math.max(0, start - HOLE_SAMPLE_BYTES)
    ranges.push({ offset, length: Math.min(end + HOLE_SAMPLE_BYTES - offset, WHOLE_BYTES_MAX) })
    start = find(end, 'data')
  }
  return ranges
}
