/**
 * What a kernel remembers of a mount: answers of the file system, until it is told that they are
 * stale. What is stale and was not told is a mistake that programs would see: old names, old
 * sizes, old bytes.
 *
 * @module
 */
import { FsError } from '../../src/fs/fs-error.ts'
import {
  ROOT_INODE,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  type Attributes,
  type InodeNumber,
  type Place,
  type Vfs,
  type VfsChanges
} from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { VfsSession } from '../support/vfs-session.ts'

/** Names that are looked up although they may be free: that they are is remembered too. */
const FREE_NAMES = ['a', 'b', 'c', 'd.txt', 'e'] as Name[]
/** A file of which nobody has some block. */
const UNREADABLE: ReadonlySet<string> = new Set(['EHOSTUNREACH', 'ETIMEDOUT'])

interface RememberedName {
  readonly place: Place
  readonly answer: string
}

/** The caches of one mount. */
export class SimulatedKernel {
  readonly #vfs: Vfs
  readonly #names = new Map<string, RememberedName>()
  readonly #attributes = new Map<InodeNumber, string>()
  readonly #contents = new Map<InodeNumber, string>()
  readonly #known = new Set<InodeNumber>()

  /** @param vfs - what it asks, and which tells it what is stale */
  constructor(vfs: Vfs) {
    this.#vfs = vfs
    vfs.onChanged = changes => this.#forgetStale(changes)
  }

  /** Forgets everything. */
  async forget(): Promise<void> {
    await Promise.resolve()
    this.#names.clear()
    this.#attributes.clear()
    this.#contents.clear()
    for (const ino of this.#known) this.#vfs.forget(ino, 1)
    this.#known.clear()
  }

  /** Looks at every name and reads every file, and remembers that. It remembers nothing before. */
  async look(): Promise<void> {
    this.#lookInto(ROOT_INODE)
    for (const ino of this.#known) {
      const mode = this.#vfs.getattr(ino).mode
      if ((mode & S_IFMT) !== S_IFREG) continue
      const content = await this.#read(ino)
      // What was told to be stale while it was read is not kept.
      if (content !== undefined && this.#attributes.has(ino)) this.#contents.set(ino, content)
    }
  }

  /** @returns what it remembers that is not so any more, and was not told */
  async staleness(): Promise<string[]> {
    const stale = [...this.#names.values()].flatMap(({ place, answer }) => {
      const now = this.#lookUp(place)
      return now === answer ? [] : [`${place.parent}/${place.name} is ${now}, not ${answer}`]
    })
    for (const [ino, answer] of this.#attributes) {
      const now = this.#attributesOf(ino)
      if (now !== answer) stale.push(`inode ${ino}: ${now}, not ${answer}`)
    }
    for (const [ino, answer] of [...this.#contents]) {
      const now = await this.#read(ino)
      const isKept = this.#contents.has(ino) && now !== undefined
      if (isKept && now !== answer) stale.push(`content of ${ino}: ${now}, not ${answer}`)
    }
    return stale.map(text => `the kernel was not told: ${text}`)
  }

  #forgetStale({ names, attributes, content }: VfsChanges): void {
    for (const { place } of names) this.#names.delete(keyOf(place))
    for (const ino of [...attributes, ...content]) this.#attributes.delete(ino)
    for (const ino of content) this.#contents.delete(ino)
  }

  #lookInto(directory: InodeNumber): void {
    this.#attributes.set(directory, this.#attributesOf(directory))
    const rows = new VfsSession(this.#vfs).rows(directory)
    const names = rows.map(({ name }) => name).filter(name => name !== '.' && name !== '..')
    for (const name of new Set([...names, ...FREE_NAMES])) {
      const place = { parent: directory, name }
      this.#names.set(keyOf(place), { place, answer: this.#lookUp(place) })
      const found = this.#find(place)
      if (!found || this.#known.has(found.ino)) continue
      this.#vfs.remember(found.ino)
      this.#known.add(found.ino)
      if ((found.mode & S_IFMT) === S_IFDIR) this.#lookInto(found.ino)
      else this.#attributes.set(found.ino, this.#attributesOf(found.ino))
    }
  }

  #lookUp(place: Place): string {
    const found = this.#find(place)
    return found ? `inode ${found.ino}` : 'free'
  }

  #find(place: Place): Attributes | undefined {
    return orUndefined(() => this.#vfs.lookup(place))
  }

  /** All but what depends on which blocks are here. */
  #attributesOf(ino: InodeNumber): string {
    const found = orUndefined(() => this.#vfs.getattr(ino))
    if (!found) return 'gone'
    const { blocks: _blocks, validSec: _validSec, ...rest } = found
    return JSON.stringify(rest)
  }

  async #read(ino: InodeNumber): Promise<string | undefined> {
    try {
      const bytes = await new VfsSession(this.#vfs).readInode(ino)
      return Buffer.from(bytes).toString('base64')
    } catch (error) {
      if (!(error instanceof FsError)) throw error
      return UNREADABLE.has(error.code) ? undefined : error.code
    }
  }
}

function keyOf({ parent, name }: Place): string {
  return `${parent}/${name}`
}

function orUndefined<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (error instanceof FsError && error.code === 'ENOENT') return undefined
    throw error
  }
}
