/**
 * The comparison on random histories finds what it is there to find: it passes on two models, and
 * fails on every model with a planted bug.
 */
import t from 'tap'
import { FsError } from '../../src/fs/fs-error.ts'
import {
  O_APPEND,
  O_TRUNC,
  S_IFMT,
  S_IFDIR,
  type AttributeChanges,
  type Attributes,
  type Caller,
  type DirectoryEntry,
  type HandleId,
  type InodeNumber,
  type MaybePromise,
  type Place,
  type Vfs
} from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { MemoryVfs } from '../support/memory-vfs.ts'
import { compareOn, compareOnRandomHistories } from '../support/vfs-commands.ts'
import type { VirtualClock } from '../support/virtual-clock.ts'

const SEED = 20_261_101
const STEPS = 120
const RUNS = 60
/** How many histories a planted bug has until it must have been found. */
const MUTANT_RUNS = 400

const ROOT = { uid: 0, gid: 0 }

type Mutant = new (options: { clock: VirtualClock; uid: number; gid: number }) => MemoryVfs
type Write = { readonly offset: number; readonly killPrivileges: boolean }
type Range = { readonly mode: number; readonly offset: number; readonly length: number }

/** Bugs that real file systems have had, by what a user would see. */
const MUTANTS: Readonly<Record<string, Mutant>> = {
  'rename over another link of the same file loses the name': class extends MemoryVfs {
    override rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
      super.rename(from, to, mode)
      const same = from.parent === to.parent && from.name === to.name
      if (mode === 'replace' && !same && exists(this, from)) super.unlink(from)
    }
  },
  'exchange moves one way only': class extends MemoryVfs {
    override rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
      if (mode === 'exchange') super.lookup(to)
      super.rename(from, to, mode === 'exchange' ? 'replace' : mode)
    }
  },
  'noreplace replaces': class extends MemoryVfs {
    override rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
      super.rename(from, to, mode === 'noreplace' ? 'replace' : mode)
    }
  },
  'O_APPEND is forgotten': class extends MemoryVfs {
    override open(ino: InodeNumber, flags: number): HandleId {
      return super.open(ino, flags & ~O_APPEND)
    }
  },
  'O_TRUNC is forgotten': class extends MemoryVfs {
    override open(ino: InodeNumber, flags: number): HandleId {
      return super.open(ino, flags & ~O_TRUNC)
    }
  },
  'unlink empties a file that is open': class extends MemoryVfs {
    override unlink(place: Place): void {
      const { ino, nlink, mode } = super.lookup(place)
      super.unlink(place)
      const left = nlink === 1 && isAlive(this, ino)
      if (left && (mode & S_IFMT) === 0o100000) void super.setattr(ino, { size: 0 })
    }
  },
  'a set-group-ID directory does not hand the bit down': class extends MemoryVfs {
    override mkdir(place: Place, mode: number, caller: Caller): Attributes {
      const { ino } = super.mkdir(place, mode, caller)
      return super.setattr(ino, { mode })
    }
  },
  'readdir sees names that came after offset 0': class extends MemoryVfs {
    override readdir(handle: HandleId, offset: number, visit: (row: DirectoryEntry) => boolean) {
      super.readdir(handle, 0, row => offset > 0 || visit(row))
      if (offset > 0) super.readdir(handle, offset, visit)
    }
  },
  'setxattr(create) replaces': class extends MemoryVfs {
    override setxattr(
      ino: InodeNumber,
      name: Name,
      value: Uint8Array,
      mode: 'set' | 'create' | 'replace'
    ): void {
      super.setxattr(ino, name, value, mode === 'create' ? 'set' : mode)
    }
  },
  'a hole is one byte too long': class extends MemoryVfs {
    override fallocate(handle: HandleId, range: Range): void {
      const extra = range.mode === 3 ? 1 : 0
      return super.fallocate(handle, { ...range, length: range.length + extra })
    }
  },
  'what was cut comes back': class extends MemoryVfs {
    readonly #cut = new Set<InodeNumber>()
    override setattr(ino: InodeNumber, changes: AttributeChanges): Attributes {
      const before = super.getattr(ino)
      const after = super.setattr(ino, changes)
      if (after.size < before.size) this.#cut.add(ino)
      if (after.size > before.size && this.#cut.has(ino)) {
        const handle = super.open(ino, 1)
        void super.write(handle, Uint8Array.of(1), { offset: before.size, killPrivileges: false })
        super.release(handle)
        const { mtime } = after
        return super.setattr(ino, { mtime })
      }
      return after
    }
  },
  'a write that ends on a border loses its last byte': class extends MemoryVfs {
    override write(handle: HandleId, data: Uint8Array, options: Write): MaybePromise<number> {
      const end = options.offset + data.length
      if (end % 65_536 !== 0 || data.length < 2) return super.write(handle, data, options)
      void super.write(handle, data, options)
      const zero = new Uint8Array(1)
      void super.write(handle, zero, { offset: end - 1, killPrivileges: false })
      return data.length
    }
  },
  'write keeps the data and not a copy of it': class extends MemoryVfs {
    override write(handle: HandleId, data: Uint8Array, options: Write): MaybePromise<number> {
      return Promise.resolve().then(() => super.write(handle, data, options))
    }
  },
  'killPrivileges is forgotten': class extends MemoryVfs {
    override write(handle: HandleId, data: Uint8Array, options: Write): MaybePromise<number> {
      return super.write(handle, data, { ...options, killPrivileges: false })
    }
  },
  'a copy is one byte short': class extends MemoryVfs {
    override copyFileRange(
      from: { readonly handle: HandleId; readonly offset: number },
      to: { readonly handle: HandleId; readonly offset: number },
      length: number
    ): number {
      const copied = super.copyFileRange(from, to, length)
      return copied > 4096 ? copied - 1 : copied
    }
  },
  'rmdir of a file says ENOENT': class extends MemoryVfs {
    override rmdir(place: Place): void {
      const { mode } = super.lookup(place)
      if ((mode & S_IFMT) !== S_IFDIR) throw new FsError('ENOENT', 'rmdir')
      super.rmdir(place)
    }
  },
  'link of a directory onto a taken name says EPERM': class extends MemoryVfs {
    override link(ino: InodeNumber, place: Place): Attributes {
      const isDirectory = (super.getattr(ino).mode & S_IFMT) === S_IFDIR
      if (isDirectory) throw new FsError('EPERM', 'link')
      return super.link(ino, place)
    }
  },
  'a setattr of the mode moves mtime': class extends MemoryVfs {
    override setattr(ino: InodeNumber, changes: AttributeChanges): Attributes {
      return super.setattr(ino, {
        ...(changes.mode === undefined ? {} : { mtime: 'now' }),
        ...changes
      })
    }
  },
  'seek finds a hole in data': class extends MemoryVfs {
    override seek(
      handle: HandleId,
      at: { readonly offset: number; readonly whence: 'data' | 'hole' }
    ): number {
      const found = super.seek(handle, at)
      return at.whence === 'hole' && found > at.offset + 1 ? found - 1 : found
    }
  },
  'a forgotten inode is gone though it is open': class extends MemoryVfs {
    readonly #gone = new Set<InodeNumber>()
    override forget(ino: InodeNumber, count: number): void {
      super.forget(ino, count)
      if (isAlive(this, ino) && super.getattr(ino).nlink === 0) this.#gone.add(ino)
    }
    override open(ino: InodeNumber, flags: number): HandleId {
      if (this.#gone.has(ino)) throw new FsError('ENOENT', 'open')
      return super.open(ino, flags)
    }
    override getattr(ino: InodeNumber): Attributes {
      if (this.#gone.has(ino)) throw new FsError('ENOENT', 'getattr')
      return super.getattr(ino)
    }
  },
  'the inode number changes with a rename': class extends MemoryVfs {
    #renames = 0
    override rename(from: Place, to: Place, mode: 'replace' | 'noreplace' | 'exchange'): void {
      super.rename(from, to, mode)
      this.#renames++
    }
    override lookup(place: Place): Attributes {
      const found = super.lookup(place)
      const isFile = (found.mode & S_IFMT) === 0o100000
      const ino = (found.ino + (isFile ? this.#renames * 1_000_000 : 0)) as InodeNumber
      return { ...found, ino }
    }
    override getattr(ino: InodeNumber): Attributes {
      return super.getattr((ino % 1_000_000) as InodeNumber)
    }
    override open(ino: InodeNumber, flags: number): HandleId {
      return super.open((ino % 1_000_000) as InodeNumber, flags)
    }
  }
}

function exists(vfs: Vfs, place: Place): boolean {
  try {
    vfs.lookup(place)
    return true
  } catch {
    return false
  }
}

function isAlive(vfs: Vfs, ino: InodeNumber): boolean {
  try {
    vfs.getattr(ino)
    return true
  } catch {
    return false
  }
}

const closes = { close: async () => Promise.resolve() }

t.test('two models agree on random histories', async t => {
  let steps = 0
  await compareOnRandomHistories({
    subject: clock => ({ vfs: new MemoryVfs({ clock, ...ROOT }), ...closes }),
    onStep: () => void steps++,
    ...{ runs: RUNS, seed: SEED, steps: STEPS }
  })
  t.ok(steps > RUNS * 10, `${steps} steps`)
})

t.test('a subject may answer later, and be closed and opened again', async t => {
  let reopened = 0
  await compareOnRandomHistories({
    subject: clock => {
      const kept = new MemoryVfs({ clock, ...ROOT })
      let vfs = slow(kept, clock)
      return {
        vfs,
        reopen: async () => {
          reopened++
          vfs = slow(kept, clock)
          return Promise.resolve(vfs)
        },
        ...closes
      }
    },
    reopen: true,
    ...{ runs: 20, seed: SEED, steps: STEPS }
  })
  t.ok(reopened > 0)
})

t.test('a subject that loses something over a reopen is found', async t => {
  const runs = compareOnRandomHistories({
    subject: clock => {
      const kept = new MemoryVfs({ clock, ...ROOT })
      return { vfs: kept, reopen: async () => Promise.resolve(forgetful(kept)), ...closes }
    },
    reopen: true,
    shrink: false,
    ...{ runs: MUTANT_RUNS, seed: SEED, steps: STEPS }
  })
  await t.rejects(runs, { cause: { message: /xattrs/ } })
})

t.test('a subject that never answers is found', async t => {
  const never = new Promise<never>(() => undefined)
  class Hangs extends MemoryVfs {
    override syncfs(): Promise<void> {
      return never
    }
  }
  const run = compareOn([{ kind: 'syncfs' }], {
    subject: clock => ({ vfs: new Hangs({ clock, ...ROOT }), ...closes }),
    callMsMax: 200
  })
  await t.rejects(run, { message: /no answer in 200 ms/ })
})

for (const [bug, Mutant] of Object.entries(MUTANTS)) {
  t.test(`a planted bug is found: ${bug}`, async t => {
    const runs = compareOnRandomHistories({
      subject: clock => ({ vfs: new Mutant({ clock, ...ROOT }), ...closes }),
      shrink: false,
      ...{ runs: MUTANT_RUNS, seed: SEED, steps: STEPS }
    })
    await t.rejects(runs, { message: /Counterexample/, cause: { message: /^step \d+|the tree/ } })
  })
}

/** Answers as a store on a disk does: some calls later, and a sync on a timer. */
function slow(vfs: MemoryVfs, clock: VirtualClock): Vfs {
  return new Proxy(vfs, {
    get: (target, property) => {
      if (property === 'fsync' || property === 'syncfs') {
        return (handle: HandleId) =>
          new Promise<void>((resolve, reject) => {
            clock.after(10, () => void target[property](handle).then(resolve, reject))
          })
      }
      return bound(target, property)
    }
  })
}

/** A file system whose extended attributes were not written. */
function forgetful(vfs: MemoryVfs): Vfs {
  return new Proxy(vfs, {
    get: (target, property) => {
      if (property === 'listxattr') return () => []
      return bound(target, property)
    }
  })
}

function bound(target: MemoryVfs, property: string | symbol): unknown {
  const member: unknown = Reflect.get(target, property, target)
  return typeof member === 'function' ? (member.bind(target) as unknown) : member
}
