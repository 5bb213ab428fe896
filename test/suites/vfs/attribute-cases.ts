/**
 * Attributes: modes, owners, times, counts, and what clears or moves them.
 *
 * @module
 */
import {
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  S_IFDIR,
  S_IFREG,
  S_IFMT,
  type AttributeChanges,
  type Attributes,
  type InodeNumber
} from '../../../src/fs/vfs.ts'
import type { Timestamp } from '../../../src/sync/clock.ts'
import { bytesOf, nameOf } from '../../support/vfs-session.ts'
import { failsWith, nanoseconds, type VfsCase, type VfsCaseSession } from './vfs-case.ts'

const TIMES: readonly (readonly [string, Timestamp])[] = [
  ['the epoch', { sec: 0, nsec: 0 }],
  ['a nanosecond', { sec: 1_700_000_000, nsec: 1 }],
  ['the last nanosecond of a second', { sec: 1_700_000_000, nsec: 999_999_999 }],
  ['just before 1970', { sec: -1, nsec: 999_999_999 }],
  ['1901', { sec: -2_147_483_648, nsec: 5 }],
  ['long before 1901', { sec: -10_000_000_000, nsec: 500_000_000 }],
  ['2038', { sec: 2_147_483_648, nsec: 0 }],
  ['after 2106', { sec: 4_294_967_296, nsec: 123_456_789 }],
  ['after 2446', { sec: 17_179_869_184, nsec: 1 }]
]

/** Which of mtime and ctime a call moves. */
type Moves = readonly [what: string, call: (s: VfsCaseSession) => unknown, times: string]

const ON_THE_FILE: readonly Moves[] = [
  ['write()', async s => s.writeFile('d/f', 'changed'), 'mtime ctime'],
  ['open(O_TRUNC)', async s => s.close(await s.open('d/f', O_RDWR | O_TRUNC)), 'mtime ctime'],
  ['setattr(size)', s => s.vfs.setattr(s.ino('d/f'), { size: 100 }), 'mtime ctime'],
  ['setattr(size) to the same', s => s.vfs.setattr(s.ino('d/f'), { size: 7 }), 'mtime ctime'],
  ['setattr(mode)', s => s.vfs.setattr(s.ino('d/f'), { mode: 0o600 }), 'ctime'],
  ['setattr(uid)', s => s.vfs.setattr(s.ino('d/f'), { uid: 5 }), 'ctime'],
  ['setattr(atime)', s => s.vfs.setattr(s.ino('d/f'), { atime: 'now' }), 'ctime'],
  ['setattr(mtime)', s => s.vfs.setattr(s.ino('d/f'), { mtime: 'now' }), 'mtime ctime'],
  ['setattr() of nothing', s => s.vfs.setattr(s.ino('d/f'), {}), ''],
  ['link()', s => s.vfs.link(s.ino('d/f'), s.place('g')), 'ctime'],
  ['unlink() of one of two', s => s.vfs.unlink(s.place('second')), 'ctime'],
  ['read()', async s => s.readFile('d/f'), ''],
  ['setxattr()', s => s.vfs.setxattr(s.ino('d/f'), nameOf('user.x'), bytesOf('v'), 'set'), 'ctime'],
  ['removexattr()', s => s.vfs.removexattr(s.ino('d/f'), nameOf('user.old')), 'ctime'],
  ['fallocate()', async s => fallocated(s), 'mtime ctime']
]

const ON_THE_DIRECTORY: readonly Moves[] = [
  ['create()', s => s.vfs.release(s.create('d/new', O_RDWR)), 'mtime ctime'],
  ['mkdir()', s => s.mkdir('d/new'), 'mtime ctime'],
  ['symlink()', s => s.vfs.symlink(s.place('d/l'), bytesOf('t'), s.caller), 'mtime ctime'],
  ['link()', s => s.vfs.link(s.ino('d/f'), s.place('d/new')), 'mtime ctime'],
  ['unlink()', s => s.vfs.unlink(s.place('d/f')), 'mtime ctime'],
  ['rmdir()', s => s.vfs.rmdir(s.place('d/sub')), 'mtime ctime'],
  ['rename() away', s => s.vfs.rename(s.place('d/f'), s.place('g'), 'replace'), 'mtime ctime'],
  ['rename() inside', s => s.vfs.rename(s.place('d/f'), s.place('d/g'), 'replace'), 'mtime ctime'],
  ['a write to a file in it', async s => s.writeFile('d/f', 'changed'), ''],
  ['a name deeper down', s => s.mkdir('d/sub/new'), ''],
  ['lookup() and readdir()', s => [s.stat('d/f'), s.names('d')], ''],
  ['a failed create()', s => fails(() => s.create('d/f', O_RDWR)), ''],
  ['tmpfile()', s => s.vfs.release(temporary(s)), '']
]

async function fallocated(s: VfsCaseSession): Promise<void> {
  const handle = await s.open('d/f', O_RDWR)
  await s.vfs.fallocate(handle, { mode: 0, offset: 0, length: 50 })
  await s.close(handle)
}

function temporary(s: VfsCaseSession) {
  return s.vfs.tmpfile(s.ino('d'), { mode: 0o600, flags: O_RDWR }, s.caller).handle
}

function fails(call: () => unknown): void {
  try {
    call()
  } catch {
    return
  }
  throw new Error('expected a failure')
}

function movedTimes(before: Attributes, after: Attributes): string {
  const moved = (['mtime', 'ctime'] as const).filter(
    time => nanoseconds(after[time]) > nanoseconds(before[time])
  )
  return moved.join(' ')
}

function timeCase(on: 'd' | 'd/f', [what, call, times]: Moves): VfsCase {
  const node = on === 'd' ? 'directory' : 'file'
  return {
    name: `${what} moves ${times === '' ? 'no time' : times} of the ${node}`,
    async run(t, s) {
      s.mkdir('d')
      s.mkdir('d/sub')
      await s.writeFile('d/f', 'content')
      s.vfs.link(s.ino('d/f'), s.place('second'))
      s.vfs.setxattr(s.ino('d/f'), nameOf('user.old'), bytesOf('v'), 'set')
      const before = s.stat(on)
      await s.tick()
      await call(s)
      const after = s.vfs.getattr(before.ino)
      t.equal(movedTimes(before, after), times)
      t.same(after.atime, what.includes('atime') ? after.atime : before.atime, 'atime is sticky')
    }
  }
}

/** See the module. */
export const attributeCases: readonly VfsCase[] = [
  ...ON_THE_FILE.map(moves => timeCase('d/f', moves)),
  ...ON_THE_DIRECTORY.map(moves => timeCase('d', moves)),
  {
    name: 'getattr() of an inode that is gone or never was: ENOENT',
    async run(t, s) {
      await s.writeFile('f', '')
      const gone = s.ino('f')
      s.vfs.unlink(s.place('f'))
      const never = Number.MAX_SAFE_INTEGER as InodeNumber
      for (const ino of [gone, never]) {
        await failsWith(t, 'ENOENT', () => s.vfs.getattr(ino), 'getattr')
        await failsWith(t, 'ENOENT', () => s.vfs.setattr(ino, { mode: 0 }), 'setattr')
        await failsWith(t, 'ENOENT', () => s.vfs.opendir(ino), 'opendir')
        await failsWith(t, 'ENOENT', () => s.vfs.readlink(ino), 'readlink')
      }
    }
  },
  {
    name: 'a new node has one instant for all its times, and its directory the same',
    run(t, s) {
      const made = s.mkdir('d')
      t.same(made.atime, made.mtime)
      t.same(made.mtime, made.ctime)
      t.ok(nanoseconds(s.stat('').mtime) >= nanoseconds(made.mtime))
    }
  },
  {
    name: 'setattr(mode) sets all twelve bits and nothing else',
    async run(t, s) {
      await s.writeFile('f', '')
      s.mkdir('d')
      for (const mode of [0o7777, 0o4755, 0o2070, 0o1000, 0]) {
        t.equal((await s.vfs.setattr(s.ino('f'), { mode })).mode, S_IFREG | mode)
        t.equal((await s.vfs.setattr(s.ino('d'), { mode })).mode, S_IFDIR | mode)
      }
      const withType = await s.vfs.setattr(s.ino('f'), { mode: S_IFDIR | 0o644 })
      t.equal(withType.mode & S_IFMT, S_IFREG, 'the type cannot be changed')
    }
  },
  {
    name: 'setattr(uid, gid) sets each alone, up to the largest',
    async run(t, s) {
      await s.writeFile('f', '')
      const ino = s.ino('f')
      const { gid } = s.stat('f')
      t.match(await s.vfs.setattr(ino, { uid: 4_294_967_294 }), { uid: 4_294_967_294, gid })
      t.match(await s.vfs.setattr(ino, { gid: 0 }), { uid: 4_294_967_294, gid: 0 })
      t.match(await s.vfs.setattr(ino, { uid: 1, gid: 2 }), { uid: 1, gid: 2 })
    }
  },
  {
    name: 'setattr() changes several things at once and answers with all of them',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const changes: AttributeChanges = {
        mode: 0o600,
        uid: 1,
        gid: 2,
        size: 3,
        atime: { sec: 10, nsec: 20 },
        mtime: { sec: 30, nsec: 40 }
      }
      const after = await s.vfs.setattr(s.ino('f'), changes)
      t.match(after, { ...changes, mode: S_IFREG | 0o600 })
      t.same(s.stat('f'), after)
      t.equal(await s.readFileText('f'), 'con')
      t.match(s.stat('f').mtime, { sec: 30, nsec: 40 })
    }
  },
  ...TIMES.map(([what, time]): VfsCase => ({
    name: `setattr(atime, mtime) keeps ${what} to the nanosecond`,
    async run(t, s) {
      await s.writeFile('f', '')
      s.mkdir('d')
      s.vfs.symlink(s.place('l'), bytesOf('t'), s.caller)
      for (const path of ['f', 'd', 'l']) {
        const before = s.stat(path)
        await s.tick()
        const after = await s.vfs.setattr(s.ino(path), { mtime: time })
        t.same(after.mtime, time, `${path}: mtime`)
        t.same(after.atime, before.atime, `${path}: atime stays`)
        t.ok(nanoseconds(after.ctime) > nanoseconds(before.ctime), `${path}: ctime is now`)
        await s.vfs.setattr(s.ino(path), { atime: time })
        t.same(s.stat(path).atime, time, `${path}: atime`)
      }
    }
  })),
  {
    name: "setattr('now') takes the time of the call",
    async run(t, s) {
      await s.writeFile('f', '')
      await s.vfs.setattr(s.ino('f'), { atime: { sec: 1, nsec: 0 }, mtime: { sec: 1, nsec: 0 } })
      const { ctime } = s.stat('f')
      await s.tick()
      const after = await s.vfs.setattr(s.ino('f'), { atime: 'now', mtime: 'now' })
      t.ok(nanoseconds(after.mtime) > nanoseconds(ctime))
      t.same(after.atime, after.mtime)
    }
  },
  {
    name: 'a time set by setattr() survives close() of a handle that wrote before',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      await s.write(handle, 'content', 0)
      await s.vfs.setattr(s.ino('f'), { mtime: { sec: 1_000_000_000, nsec: 5 } })
      await s.vfs.flush(handle)
      await s.tick()
      await s.vfs.release(handle)
      await s.vfs.syncfs()
      t.same(s.stat('f').mtime, { sec: 1_000_000_000, nsec: 5 })
      t.equal(await s.readFileText('f'), 'content')
    }
  },
  {
    name: 'killPrivileges clears set-user-ID, and set-group-ID only with group execute',
    async run(t, s) {
      const handle = s.create('f', O_RDWR)
      const kills = [
        [
          'write',
          async () => s.vfs.write(handle, bytesOf('x'), { offset: 0, killPrivileges: true })
        ],
        ['setattr(size)', async () => s.vfs.setattr(s.ino('f'), { size: 9, killPrivileges: true })],
        ['setattr(uid)', async () => s.vfs.setattr(s.ino('f'), { uid: 3, killPrivileges: true })]
      ] as const
      for (const [what, kill] of kills) {
        for (const [mode, left] of [
          [0o6755, 0o755],
          [0o6745, 0o2745],
          [0o4700, 0o700],
          [0o2711, 0o711],
          [0o1777, 0o1777]
        ] as const) {
          await s.vfs.setattr(s.ino('f'), { mode })
          await kill()
          t.equal(s.stat('f').mode, S_IFREG | left, `${what}: ${mode.toString(8)}`)
        }
      }
      await s.vfs.setattr(s.ino('f'), { mode: 0o6755 })
      await s.write(handle, 'y', 0)
      t.equal(s.stat('f').mode, S_IFREG | 0o6755, 'a write that does not ask for it')
      await s.close(handle)
    }
  },
  {
    name: 'a change of owner or content drops the file capability',
    async run(t, s) {
      const capability = nameOf('security.capability')
      const changes = [
        ['write', async () => s.writeFile('f', 'changed')],
        ['truncate', async () => s.vfs.setattr(s.ino('f'), { size: 1 })],
        ['chown', async () => s.vfs.setattr(s.ino('f'), { uid: 9 })]
      ] as const
      await s.writeFile('f', 'content')
      for (const [what, change] of changes) {
        s.vfs.setxattr(s.ino('f'), capability, bytesOf('cap'), 'set')
        await s.vfs.setattr(s.ino('f'), { mode: 0o700 })
        t.same([...s.vfs.listxattr(s.ino('f'))], [capability], 'chmod keeps it')
        await change()
        t.same([...s.vfs.listxattr(s.ino('f'))], [], `${what} drops it`)
      }
    }
  },
  {
    name: 'the link count of a directory is 2 and one for each directory in it',
    async run(t, s) {
      s.mkdir('d')
      await s.writeFile('d/f', '')
      t.equal(s.stat('d').nlink, 2, 'files do not count')
      for (const name of ['a', 'b', 'c']) s.mkdir(`d/${name}`)
      t.equal(s.stat('d').nlink, 5)
      s.vfs.rmdir(s.place('d/b'))
      s.vfs.rename(s.place('d/c'), s.place('c'), 'replace')
      t.equal(s.stat('d').nlink, 3)
      t.equal(s.stat('').nlink, 4)
    }
  },
  {
    name: 'the allocated space follows the content',
    async run(t, s) {
      await s.writeFile('f', new Uint8Array(200_000).fill(7))
      await s.vfs.syncfs()
      const { blocks } = s.stat('f')
      t.ok(blocks * 512 >= 200_000 && blocks * 512 <= 500_000, `blocks: ${blocks}`)
      await s.vfs.setattr(s.ino('f'), { size: 0 })
      await s.vfs.syncfs()
      t.equal(s.stat('f').blocks, 0)
    }
  },
  {
    name: 'statfs() gives numbers that fit together',
    run(t, s) {
      const status = s.vfs.statfs()
      t.ok(status.blockBytes >= 512 && Number.isInteger(Math.log2(status.blockBytes)))
      t.ok(status.blocks > 0)
      t.ok(status.blocksFree > 0 && status.blocksFree <= status.blocks)
      t.ok(status.blocksAvailable <= status.blocksFree)
      t.ok(status.inodesFree <= status.inodes)
      t.ok(Object.values(status).every(Number.isSafeInteger), 'all are whole numbers')
    }
  },
  {
    name: 'attributes are values: a later change does not touch what was answered',
    async run(t, s) {
      await s.writeFile('f', 'content')
      const before = s.stat('f')
      const copy = structuredClone(before)
      await s.tick()
      await s.writeFile('f', 'longer content')
      await s.vfs.setattr(s.ino('f'), { mode: 0o600, mtime: { sec: 5, nsec: 5 } })
      t.same(before, copy)
      await s.close(await s.open('f', O_RDONLY))
    }
  }
]
