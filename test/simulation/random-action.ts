/**
 * What programs do on one device of a simulation, drawn at random: calls of the file system on
 * what it shows at the moment, and on files that were left open, whatever became of them since.
 *
 * @module
 */
import { FsError } from '../../src/fs/fs-error.ts'
import {
  O_APPEND,
  O_RDWR,
  ROOT_INODE,
  S_IFDIR,
  type HandleId,
  type InodeNumber
} from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import type { VfsSession } from '../support/vfs-session.ts'

/** What an action is drawn from. */
export interface ActionSource {
  /** Dice. */
  readonly random: SeededRandom
  /** A number that was never given before: for owners, new names and texts. */
  readonly next: () => number
}

/** One name in the tree of a device. */
interface Found {
  readonly path: string
  readonly isDirectory: boolean
}

/** Few, so that devices often choose the same. */
const NAMES = ['a', 'b', 'c', 'd.txt', 'e']
/** How many files a device leaves open. */
const OPEN_MAX = 4
const TEXT_BYTES_MAX = 40
/** Enough for a block of its own, which does not travel inside the operation. */
const LARGE_BYTES = 9000
const ROWS_MAX = 200
/** What a program may be told that uses what others use too; anything else is a fault of ours. */
const ORDINARY: ReadonlySet<string> = new Set([
  ...['EEXIST', 'EINVAL', 'EISDIR', 'ELOOP', 'ENODATA', 'ENOENT', 'ENOTDIR', 'ENOTEMPTY'],
  ...['EPERM', 'EHOSTUNREACH', 'ETIMEDOUT']
])

/** Does one thing after another to a device, and keeps what is open there. */
export class RandomActor {
  readonly #source: ActionSource
  #open: { readonly handle: HandleId; readonly path: string }[] = []

  /** @param source - dice and numbers */
  constructor(source: ActionSource) {
    this.#source = source
  }

  /** Forgets what was open: the process died. */
  forget(): void {
    this.#open = []
  }

  /** Closes what is open. */
  async closeAll(session: VfsSession): Promise<void> {
    for (const { handle } of this.#open.splice(0)) await session.close(handle)
  }

  /**
   * Does something.
   *
   * @returns what, for people; an action that the file system refused says so
   */
  async act(session: VfsSession): Promise<string> {
    const action = this.#draw(session)
    if (!action) return 'nothing'
    try {
      await action.run()
      return action.what
    } catch (error) {
      if (!(error instanceof FsError) || !ORDINARY.has(error.code)) throw error
      return `${action.what}: ${error.code}`
    }
  }

  #draw(session: VfsSession): Action | undefined {
    const { random } = this.#source
    const all = listTree(session)
    const file = pick(
      all.filter(({ isDirectory }) => !isDirectory),
      random
    )
    const any = pick(all, random)
    const draw = random.integer(100)
    if (draw < 18 || !any) return this.#make(session, all)
    if (draw < 36) {
      const isOpenClose = this.#open.length === 0 || random.integer(3) === 0
      return isOpenClose ? this.#handle(session, file) : this.#ofOpen(session)
    }
    if (draw < 54) return file ? this.#edit(session, file) : this.#make(session, all)
    if (draw < 72) return this.#move(session, any, all)
    return draw < 84 ? remove(session, any) : this.#attribute(session, any)
  }

  #make(session: VfsSession, all: readonly Found[]): Action {
    const { random, next } = this.#source
    const path = this.#newPath(all)
    switch (random.integer(6)) {
      case 0:
        return { what: `mkdir ${path}`, run: () => session.mkdir(path) }
      case 1:
        return { what: `mkdir ${path}`, run: () => session.mkdir(path, 0o700) }
      case 2: {
        const target = Buffer.from(`to ${String(next())}`)
        const run = () => session.vfs.symlink(session.place(path), target, session.caller)
        return { what: `symlink ${path}`, run }
      }
      default: {
        const text = this.#text()
        return { what: `write ${path}`, run: () => session.writeFile(path, text) }
      }
    }
  }

  #edit(session: VfsSession, { path }: Found): Action {
    const { random } = this.#source
    const text = this.#text()
    const at = random.integer(TEXT_BYTES_MAX)
    switch (random.integer(4)) {
      case 0:
        return { what: `replace ${path}`, run: () => session.writeFile(path, text) }
      case 1:
        return { what: `append to ${path}`, run: () => writeAt(session, path, text, 'end') }
      case 2:
        return { what: `write ${path} at ${at}`, run: () => writeAt(session, path, text, at) }
      default:
        return {
          what: `truncate ${path} to ${at}`,
          run: () => session.vfs.setattr(session.ino(path), { size: at })
        }
    }
  }

  /** Opens a file, to go on with later, or closes one. */
  #handle(session: VfsSession, file: Found | undefined): Action | undefined {
    if (this.#open.length < OPEN_MAX && file) {
      const { path } = file
      const run = async (): Promise<void> => {
        this.#open.push({ handle: await session.open(path, O_RDWR), path })
      }
      return { what: `open ${path}`, run }
    }
    const [first] = this.#open
    if (!first) return undefined
    this.#open = this.#open.slice(1)
    return { what: `close ${first.path}`, run: () => session.close(first.handle) }
  }

  #ofOpen(session: VfsSession): Action | undefined {
    const { random } = this.#source
    const open = pick(this.#open, random)
    if (!open) return undefined
    const { handle, path } = open
    const at = random.integer(TEXT_BYTES_MAX)
    if (random.integer(4) === 0) {
      return { what: `read open ${path}`, run: () => session.read(handle, 0, LARGE_BYTES) }
    }
    const text = this.#text()
    return { what: `write open ${path} at ${at}`, run: () => session.write(handle, text, at) }
  }

  #move(session: VfsSession, { path, isDirectory }: Found, all: readonly Found[]): Action {
    const { random } = this.#source
    const isTaken = random.integer(2) === 0
    const others = all.filter(other => other.path !== path)
    const to = (isTaken && pick(others, random)?.path) || this.#newPath(all)
    if (random.integer(4) === 0 && !isDirectory) {
      const run = () => session.vfs.link(session.ino(path), session.place(to))
      return { what: `link ${path} to ${to}`, run }
    }
    const mode = isTaken && random.integer(3) === 0 ? 'exchange' : 'replace'
    const run = () => session.vfs.rename(session.place(path), session.place(to), mode)
    return { what: `${mode === 'replace' ? 'rename' : mode} ${path} to ${to}`, run }
  }

  #attribute(session: VfsSession, { path }: Found): Action {
    const { random, next } = this.#source
    const ino = session.ino(path)
    const name = `user.${random.integer(2)}` as Name
    const mode = random.integer(0o1000)
    switch (random.integer(5)) {
      case 0:
        return { what: `chmod ${path}`, run: () => session.vfs.setattr(ino, { mode }) }
      case 1:
        return { what: `chown ${path}`, run: () => session.vfs.setattr(ino, { uid: next() }) }
      case 2: {
        const mtime = { sec: next(), nsec: 5 }
        return { what: `touch ${path}`, run: () => session.vfs.setattr(ino, { mtime }) }
      }
      case 3:
        return { what: `removexattr ${path}`, run: () => session.vfs.removexattr(ino, name) }
      default: {
        const value = random.bytes(3)
        return {
          what: `setxattr ${path}`,
          run: () => session.vfs.setxattr(ino, name, value, 'set')
        }
      }
    }
  }

  /** A path that may be taken, often one that other devices like too. */
  #newPath(all: readonly Found[]): string {
    const { random, next } = this.#source
    const directories = ['', ...all.flatMap(each => (each.isDirectory ? `${each.path}/` : []))]
    const name = random.integer(3) === 0 ? `unique-${next()}` : pick(NAMES, random)
    return `${pick(directories, random) ?? ''}${name ?? 'a'}`
  }

  /** A text that nobody wrote before, at times one that fills blocks. */
  #text(): string {
    const { random, next } = this.#source
    const text = `<${next()}> `
    return random.integer(8) === 0 ? text.padEnd(LARGE_BYTES, text) : text
  }
}

interface Action {
  readonly what: string
  readonly run: () => unknown
}

function remove(session: VfsSession, { path, isDirectory }: Found): Action {
  const place = session.place(path)
  if (isDirectory) return { what: `rmdir ${path}`, run: () => session.vfs.rmdir(place) }
  return { what: `unlink ${path}`, run: () => session.vfs.unlink(place) }
}

async function writeAt(
  session: VfsSession,
  path: string,
  text: string,
  at: number | 'end'
): Promise<void> {
  const handle = await session.open(path, O_RDWR | (at === 'end' ? O_APPEND : 0))
  try {
    await session.write(handle, text, at === 'end' ? 0 : at)
  } finally {
    await session.close(handle)
  }
}

/** Every name that a device shows, parents before children. */
export function listTree(session: VfsSession, ino = ROOT_INODE, path = ''): readonly Found[] {
  const found: Found[] = []
  const rows = session
    .rows(ino)
    .filter(({ name }) => name !== '.' && name !== '..')
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
  for (const row of rows.slice(0, ROWS_MAX)) {
    const own = path === '' ? row.name : `${path}/${row.name}`
    const isDirectory = row.type === S_IFDIR
    found.push({ path: own, isDirectory })
    if (isDirectory) found.push(...listTree(session, inoOf(session, ino, row.name), own))
  }
  return found
}

function inoOf(session: VfsSession, parent: InodeNumber, name: Name): InodeNumber {
  return session.vfs.lookup({ parent, name }).ino
}

function pick<T>(values: readonly T[], random: SeededRandom): T | undefined {
  return values.length === 0 ? undefined : values[random.integer(values.length)]
}
