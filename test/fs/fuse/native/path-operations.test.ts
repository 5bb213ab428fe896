/** Path-based operations over the naive model of the file system, as libfuse would ask for them. */
import t from 'tap'
import { FsError } from '../../../../src/fs/fs-error.ts'
import { PathOperations } from '../../../../src/fs/fuse/native/path-operations.ts'
import {
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  ROOT_INODE,
  S_IFIFO,
  S_IFREG,
  type HandleId
} from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const HIDDEN = '/.fuse_hidden0000000500000001'
const FILE = S_IFREG | 0o644
const NLINK = 6
const NUMBER = 7

function setUp() {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const reports: string[] = []
  const fs = new PathOperations(vfs, { uid: 7, gid: 8 }, message => reports.push(message))
  const open = (path: string, flags = O_RDWR): number => {
    const file = fs.open(path, flags)
    if (file instanceof Promise) throw new Error('the model answers at once')
    return file
  }
  const make = (path: string, content = ''): void => {
    fs.mknod(path, FILE, 0)
    const file = open(path)
    void fs.write(file, Buffer.from(content), 0)
    void fs.release(path, file)
  }
  const read = (file: number): string => {
    const into = Buffer.alloc(100)
    return into.toString('utf8', 0, fs.read(file, into, 0) as number)
  }
  const content = (path: string): string => {
    const file = open(path, O_RDONLY)
    const text = read(file)
    void fs.release(path, file)
    return text
  }
  const names = (path = '/') =>
    fs
      .readdir(path)
      .names.filter(name => name !== '.' && name !== '..')
      .toSorted()
  return { vfs, fs, reports, open, make, read, content, names }
}

t.test('a path is walked, and what is made belongs to who mounts', async t => {
  const { fs, make, content, names } = setUp()
  fs.mkdir('/a', 0o755)
  fs.mkdir('/a/b', 0o755)
  make('/a/b/f', 'deep')
  t.equal(content('/a/b/f'), 'deep')
  t.strictSame([...fs.getattr('/a/b/f')].slice(0, 5), [FILE, 7, 8, 4, 0])
  t.equal(fs.getattr('/')[NUMBER], ROOT_INODE)
  fs.rename('/a/b', '/c')
  t.strictSame(names('/'), ['a', 'c'])
  fs.link('/c/f', '/g')
  t.equal(fs.getattr('/g')[NUMBER], fs.getattr('/c/f')[NUMBER])
  fs.unlink('/g')
  for (const path of ['/c/absent', '/absent/f'])
    t.throws(() => fs.getattr(path), { code: 'ENOENT' })
  t.throws(() => fs.getattr('/c/f/x'), { code: 'ENOTDIR' })
  t.throws(() => fs.rmdir('/c'), { code: 'ENOTEMPTY' })
})

t.test('names and targets are bytes; what is none is EILSEQ', async t => {
  const { vfs, fs, make, names } = setUp()
  make('/caf\u00e9')
  t.strictSame(names(), ['caf\u00e9'])
  t.ok(vfs.lookup({ parent: ROOT_INODE, name: 'caf\u00e9' as Name }))
  fs.symlink('\u00ff\u00c3', '/l')
  t.strictSame(
    [...vfs.readlink(vfs.lookup({ parent: ROOT_INODE, name: 'l' as Name }).ino)],
    [255, 195]
  )
  t.equal(fs.readlink('/l'), '\u00ff\u00c3')
  t.throws(() => fs.getattr('/\ufffd'), { code: 'EILSEQ' })
  t.throws(() => fs.mkdir('/\u0100', 0o755), { code: 'EILSEQ' })
  t.throws(() => fs.symlink('\u0100', '/m'), { code: 'EILSEQ' })
})

t.test('a target that would be cut on its way out is refused on its way in', async t => {
  const { vfs, fs } = setUp()
  fs.symlink('x'.repeat(4095), '/plain')
  t.equal(fs.readlink('/plain').length, 4095)
  fs.symlink('\u00e9'.repeat(2048), '/most')
  t.throws(() => fs.symlink('\u00e9'.repeat(2049), '/more'), { code: 'ENAMETOOLONG' })
  const place = { parent: ROOT_INODE, name: 'theirs' as Name }
  vfs.symlink(place, Buffer.alloc(2049, 0xe9), { uid: 0, gid: 0 })
  t.throws(() => fs.readlink('/theirs'), { code: 'ENAMETOOLONG' })
})

t.test('mknod() of a file that is there sends the kernel to look again', async t => {
  const { fs, make } = setUp()
  make('/f')
  t.throws(() => fs.mknod('/f', FILE, 0), { code: 'ESTALE' })
  t.throws(() => fs.mknod('/f', S_IFIFO | 0o600, 0), { code: 'EEXIST' })
  t.throws(() => fs.mknod('/absent/f', FILE, 0), { code: 'ENOENT' })
})

t.test('attributes: owners that stay, times, sizes', async t => {
  const { fs, open, make } = setUp()
  make('/f', 'content')
  void fs.chown('/f', 2 ** 32 - 1, 99)
  void fs.chown('/f', 98, 2 ** 32 - 1)
  t.strictSame([...fs.getattr('/f')].slice(1, 3), [98, 99])
  void fs.chmod('/f', S_IFREG | 0o4711)
  t.equal(fs.getattr('/f')[0], S_IFREG | 0o4711)
  void fs.utimens('/f', 1500, -1)
  t.strictSame([...fs.getattr('/f')].slice(12, 16), [1500, 0, 0, 0])
  void fs.truncate('/f', 3)
  const file = open('/f')
  void fs.ftruncate(file, 4)
  t.equal(fs.fgetattr('/f', file)[3], 4)
  t.throws(() => fs.truncate('/f', 2 ** 53), { code: 'EFBIG' })
  t.throws(() => fs.write(file, Buffer.alloc(2), Number.MAX_SAFE_INTEGER - 1), { code: 'EFBIG' })
  t.throws(() => fs.truncate('/', 0), { code: 'EISDIR' })
  void fs.release('/f', file)
  t.throws(() => fs.fgetattr('/f', file), { code: 'EBADF' })
  void fs.release('/f', open('/f', O_RDWR | O_TRUNC))
  t.equal(fs.getattr('/f')[3], 0)
})

t.test('a file that libfuse hides is unlinked, and goes on under its hidden name', async t => {
  const { vfs, fs, open, make, read, names } = setUp()
  make('/f', 'content')
  const file = open('/f')
  t.throws(() => fs.getattr(HIDDEN), { code: 'ENOENT' }, 'libfuse asks first')
  fs.rename('/f', HIDDEN)
  t.strictSame(names(), [])
  t.equal(fs.getattr(HIDDEN)[NLINK], 1, 'libfuse takes one off')
  t.equal(fs.fgetattr(HIDDEN, file)[NLINK], 1)
  void fs.truncate(HIDDEN, 4)
  t.equal(read(file), 'cont')
  t.throws(() => fs.rename(HIDDEN, '/back'), { code: 'ENOENT' })
  const anew = '/.fuse_hidden0000000500000002'
  fs.rename(HIDDEN, anew)
  t.throws(() => fs.getattr(HIDDEN), { code: 'ENOENT' })
  void fs.release(anew, file)
  fs.unlink(anew)
  t.equal(vfs.inodeCount, 1)
  t.throws(() => fs.unlink(anew), { code: 'ENOENT' })
})

t.test('a hidden file with another link counts it, and it stays', async t => {
  const { fs, open, make, content } = setUp()
  make('/f', 'content')
  fs.link('/f', '/g')
  const file = open('/f')
  fs.rename('/f', HIDDEN)
  t.equal(fs.fgetattr(HIDDEN, file)[NLINK], 2)
  t.equal(fs.getattr('/g')[NLINK], 1)
  void fs.release(HIDDEN, file)
  fs.unlink(HIDDEN)
  t.equal(content('/g'), 'content')
})

t.test('a hidden file whose path libfuse has lost is dropped at the last close', async t => {
  const { vfs, fs, open, make } = setUp()
  make('/f')
  const [one, other] = [open('/f'), open('/f')]
  fs.rename('/f', HIDDEN)
  fs.settle()
  void fs.release('-', one)
  t.equal(vfs.inodeCount, 2)
  void fs.release('-', other)
  t.equal(vfs.inodeCount, 1)
})

t.test('a directory with a hidden file is not empty', async t => {
  const { fs, open, make } = setUp()
  fs.mkdir('/d', 0o755)
  fs.mkdir('/e', 0o755)
  make('/d/f')
  const file = open('/d/f')
  fs.rename('/d/f', `/d${HIDDEN}`)
  t.throws(() => fs.rmdir('/d'), { code: 'ENOTEMPTY' })
  t.throws(() => fs.rename('/e', '/d'), { code: 'ENOTEMPTY' })
  void fs.release(`/d${HIDDEN}`, file)
  fs.unlink(`/d${HIDDEN}`)
  fs.rename('/e', '/d')
  fs.rmdir('/d')
})

t.test('an open file is replaced in one step, or stays when that fails', async t => {
  const { vfs, fs, open, make, read, content, names } = setUp()
  make('/f', 'old')
  make('/g', 'new')
  const file = open('/f')
  const rename = vfs.rename.bind(vfs)
  vfs.rename = () => {
    throw new FsError('ENOSPC', 'rename')
  }
  fs.rename('/f', HIDDEN)
  t.throws(() => fs.rename('/g', '/f'), { code: 'ENOSPC' })
  t.strictSame([content('/f'), content('/g')], ['old', 'new'], 'nothing is lost')

  vfs.rename = rename
  const unlinked: string[] = []
  vfs.unlink = place => unlinked.push(place.name)
  fs.rename('/f', '/.fuse_hidden0000000500000002')
  fs.rename('/g', '/f')
  t.strictSame([names(), content('/f'), read(file), unlinked], [['f'], 'new', 'old', []])
})

t.test('names like those of libfuse are names of files that nobody has open', async t => {
  const { fs, open, make, names } = setUp()
  make('/f', 'content')
  fs.rename('/f', HIDDEN)
  t.strictSame(names(), [HIDDEN.slice(1)])
  fs.mkdir('/d', 0o755)
  const file = open(HIDDEN)
  fs.rename(HIDDEN, `/d${HIDDEN}`)
  t.strictSame(names('/d'), [HIDDEN.slice(1)], 'libfuse hides in the same directory')
  void fs.release(`/d${HIDDEN}`, file)
  fs.unlink(`/d${HIDDEN}`)
  t.strictSame(names('/d'), [])
})

t.test('extended attributes: sizes, short buffers, flags', async t => {
  const { fs, make } = setUp()
  make('/f')
  const value = Buffer.from('value')
  fs.setxattr('/f', 'user.a', value, 0)
  value.fill(0)
  const into = Buffer.alloc(10)
  t.equal(fs.getxattr('/f', 'user.a', Buffer.alloc(0)), 5)
  t.equal(fs.getxattr('/f', 'user.a', into), 5)
  t.equal(into.toString('utf8', 0, 5), 'value', 'the kernel has its buffer back')
  t.throws(() => fs.getxattr('/f', 'user.a', Buffer.alloc(4)), { code: 'ERANGE' })
  t.throws(() => fs.setxattr('/f', 'user.a', value, 1), { code: 'EEXIST' })
  t.throws(() => fs.setxattr('/f', 'user.b', value, 2), { code: 'ENODATA' })
  fs.setxattr('/f', 'user.\u00e9', value, 1)
  const list = Buffer.alloc(30)
  t.equal(fs.listxattr('/f', Buffer.alloc(0)), 15)
  t.throws(() => fs.listxattr('/f', Buffer.alloc(14)), { code: 'ERANGE' })
  t.equal(list.toString('utf8', 0, fs.listxattr('/f', list)), 'user.a\0user.\u00e9\0')
  fs.removexattr('/f', 'user.\u00e9')
  t.throws(() => fs.getxattr('/f', 'user.\ufffd', into), { code: 'EILSEQ' })
  t.throws(() => fs.getxattr('/f', 'user.b', into), { code: 'ENODATA' })
})

t.test('what the file system answers later is answered later', async t => {
  const { vfs, fs, make } = setUp()
  make('/f', 'content')
  const open = vfs.open.bind(vfs)
  const read = vfs.read.bind(vfs)
  const parts = { open, read }
  Object.assign(vfs, {
    open: async (...args: Parameters<typeof open>): Promise<HandleId> => parts.open(...args),
    read: async (...args: Parameters<typeof read>) => parts.read(...args)
  })
  const file = await fs.open('/f', O_RDWR)
  const into = Buffer.alloc(7)
  t.equal(await fs.read(file, into, 0), 7)
  t.equal(into.toString(), 'content')
  await fs.fsync(file)
  await fs.fsyncdir('/')
  t.equal(vfs.handleCount, 1)
  await fs.close()
  t.equal(vfs.handleCount, 0, 'what libfuse has not closed is closed')
})

t.test('statfs() says what the file system says', async t => {
  const { vfs, fs } = setUp()
  t.equal(fs.statfs()[2], vfs.statfs().blocks)
})
