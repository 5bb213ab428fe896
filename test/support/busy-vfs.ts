/**
 * A file system in a directory of another one, whose calls that may wait do: while they do, a test
 * can have something happen.
 *
 * @module
 */
import {
  ROOT_INODE,
  type Attributes,
  type InodeNumber,
  type Place,
  type Vfs
} from '../../src/fs/vfs.ts'

/** See the module comment. */
export class BusyVfs {
  readonly #vfs: Vfs
  readonly #base: InodeNumber
  readonly #meanwhile: () => Promise<void>

  /** @param base - the directory that is shown as the root; @param meanwhile - what happens meanwhile */
  constructor(vfs: Vfs, base: InodeNumber, meanwhile: () => Promise<void>) {
    this.#vfs = vfs
    this.#base = base
    this.#meanwhile = meanwhile
  }

  /** The file system as its user sees it. */
  get vfs(): Vfs {
    return new Proxy(this.#vfs, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key, target)
        if (typeof member !== 'function') return member
        const method = member as (...args: unknown[]) => unknown
        return (...args: unknown[]) => this.#call(String(key), method.bind(target), args)
      }
    })
  }

  #call(key: string, method: (...args: unknown[]) => unknown, args: readonly unknown[]): unknown {
    const inner = args.map((argument, at) => this.#inward(key, argument, at))
    if (!WAITING.has(key)) return this.#outward(method(...inner))
    // The caller may change what it has written as soon as the call returns.
    const kept = inner.map(each => (each instanceof Uint8Array ? each.slice() : each))
    return this.#meanwhile()
      .then(() => method(...kept))
      .then(async result => {
        await this.#meanwhile()
        return this.#outward(result)
      })
  }

  #inward(key: string, argument: unknown, at: number): unknown {
    if (at === 0 && argument === ROOT_INODE && !BY_HANDLE.has(key)) return this.#base
    if (isPlace(argument) && argument.parent === ROOT_INODE)
      return { ...argument, parent: this.#base }
    if (key !== 'readdir' || typeof argument !== 'function') return argument
    const visit = argument as (row: unknown) => boolean
    return (row: unknown) => visit(this.#outward(row))
  }

  #outward(result: unknown): unknown {
    if (typeof result !== 'object' || result === null) return result
    if ('attributes' in result) {
      const { attributes } = result as { attributes: Attributes }
      return { ...result, attributes: this.#outward(attributes) }
    }
    const isBase = 'ino' in result && result.ino === this.#base
    return isBase ? { ...result, ino: ROOT_INODE } : result
  }
}

/** Calls that may return a promise. */
const WAITING: ReadonlySet<string> = new Set([
  ...['setattr', 'open', 'read', 'write', 'flush', 'fsync', 'release', 'fallocate'],
  ...['copyFileRange', 'fsyncdir', 'syncfs']
])
/** Calls whose numbers are those of handles. */
const BY_HANDLE: ReadonlySet<string> = new Set([
  ...['read', 'write', 'flush', 'fsync', 'release', 'fallocate', 'seek', 'copyFileRange'],
  ...['readdir', 'releasedir', 'fsyncdir']
])

function isPlace(argument: unknown): argument is Place {
  return typeof argument === 'object' && argument !== null && 'parent' in argument
}
