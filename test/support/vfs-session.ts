/**
 * A {@link Vfs} by path and by text, for tests: what a program sees through the kernel, without
 * the kernel. Each call resolves its path anew; nothing is remembered between calls.
 *
 * @module
 */
import {
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  ROOT_INODE,
  type Attributes,
  type Caller,
  type DirectoryEntry,
  type HandleId,
  type InodeNumber,
  type Place,
  type Vfs
} from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'

/** The user on whose behalf a session makes nodes, unless told otherwise. */
export const TEST_CALLER: Caller = { uid: 1000, gid: 1000 }

/** How many rows a listing takes at most: a Vfs that never ends a directory must not hang us. */
const ROWS_MAX = 1_000_000

/** The bytes of a text, as UTF-8. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** A text of UTF-8 bytes. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** The name whose bytes are the UTF-8 of `text`. Not checked: tests need bad names too. */
export function nameOf(text: string): Name {
  return Buffer.from(text, 'utf8').toString('latin1') as Name
}

/** `length` bytes that repeat nowhere nearby, the same for the same seed. */
export function patternBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed * 2_654_435_761) >>> 0 || 1
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state
  }
  return bytes
}

/** One run of bytes from parts that follow one another. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

/** Path-based calls on a {@link Vfs}. Paths are relative to the root: `''`, `'a'`, `'a/b'`. */
export class VfsSession {
  /** What the calls go to. */
  readonly vfs: Vfs
  /** On whose behalf nodes are made. */
  readonly caller: Caller

  /** @param vfs - what the calls go to; @param caller - on whose behalf nodes are made */
  constructor(vfs: Vfs, caller: Caller = TEST_CALLER) {
    this.vfs = vfs
    this.caller = caller
  }

  /** The place of the last name of `path`; its parent must exist. */
  place(path: string): Place {
    const cut = path.lastIndexOf('/')
    const parent = cut < 0 ? ROOT_INODE : this.ino(path.slice(0, cut))
    return { parent, name: nameOf(path.slice(cut + 1)) }
  }

  /** The attributes of what a path leads to; symbolic links are not followed. */
  stat(path: string): Attributes {
    if (path === '') return this.vfs.getattr(ROOT_INODE)
    return this.vfs.lookup(this.place(path))
  }

  /** The inode number of what a path leads to. */
  ino(path: string): InodeNumber {
    return path === '' ? ROOT_INODE : this.stat(path).ino
  }

  /** True when the path leads somewhere. */
  exists(path: string): boolean {
    try {
      this.stat(path)
      return true
    } catch {
      return false
    }
  }

  /** Makes a directory. */
  mkdir(path: string, mode = 0o755): Attributes {
    return this.vfs.mkdir(this.place(path), mode, this.caller)
  }

  /** Makes a regular file and leaves it open. */
  create(path: string, flags: number, mode = 0o644): HandleId {
    return this.vfs.create(this.place(path), { mode, flags }, this.caller).handle
  }

  /** Opens a file. */
  async open(path: string, flags: number): Promise<HandleId> {
    return this.vfs.open(this.ino(path), flags)
  }

  /** Makes or replaces a file's content in one go. */
  async writeFile(path: string, content: string | Uint8Array): Promise<void> {
    const handle = this.exists(path)
      ? await this.open(path, O_WRONLY | O_TRUNC)
      : this.create(path, O_WRONLY)
    await this.write(handle, content, 0)
    await this.close(handle)
  }

  /** Writes through a handle. */
  async write(handle: HandleId, content: string | Uint8Array, offset: number): Promise<number> {
    const data = typeof content === 'string' ? bytesOf(content) : content
    return this.vfs.write(handle, data, { offset, killPrivileges: false })
  }

  /** Reads through a handle. */
  async read(handle: HandleId, offset: number, length: number): Promise<Uint8Array> {
    return joined(await this.vfs.read(handle, { offset, length }))
  }

  /** Reads through a handle and decodes. */
  async readText(handle: HandleId, offset = 0, length = 65_536): Promise<string> {
    return textOf(await this.read(handle, offset, length))
  }

  /** Closes a handle as the kernel does: flush, then release. */
  async close(handle: HandleId): Promise<void> {
    await this.vfs.flush(handle)
    await this.vfs.release(handle)
  }

  /** A file's whole content. */
  async readFile(path: string): Promise<Uint8Array> {
    return this.readInode(this.ino(path))
  }

  /** A file's whole content, as text. */
  async readFileText(path: string): Promise<string> {
    return textOf(await this.readFile(path))
  }

  /** An inode's whole content. */
  async readInode(ino: InodeNumber): Promise<Uint8Array> {
    const handle = await this.vfs.open(ino, O_RDONLY)
    try {
      return await this.read(handle, 0, this.vfs.getattr(ino).size)
    } finally {
      await this.vfs.release(handle)
    }
  }

  /** The rows of a directory as one readdir after another gives them, `.` and `..` included. */
  rows(ino: InodeNumber, rowsAtOnce = ROWS_MAX): readonly DirectoryEntry[] {
    const handle = this.vfs.opendir(ino)
    const rows: DirectoryEntry[] = []
    try {
      for (let offset = 0; rows.length < ROWS_MAX;) {
        const before = rows.length
        this.vfs.readdir(handle, offset, row => {
          if (rows.length - before === rowsAtOnce) return false
          rows.push(row)
          offset = row.nextOffset
          return true
        })
        if (rows.length === before) return rows
      }
    } finally {
      this.vfs.releasedir(handle)
    }
    throw new Error('readdir never ends')
  }

  /** The names in a directory, sorted, without `.` and `..`. */
  names(path: string): readonly string[] {
    return this.rows(this.ino(path))
      .map(row => Buffer.from(row.name, 'latin1').toString('utf8'))
      .filter(name => name !== '.' && name !== '..')
      .toSorted()
  }
}
