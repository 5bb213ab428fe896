/** How requests of fuse-native are answered: once each, whatever happens. */
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import t from 'tap'
import { FsError } from '../../../../src/fs/fs-error.ts'
import { NativeDispatch, withBothTimes } from '../../../../src/fs/fuse/native/native-dispatch.ts'
import { PathOperations } from '../../../../src/fs/fuse/native/path-operations.ts'
import { ifFuseNative } from '../../../support/if-fuse-native.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const { errno } = constants

/** A request is called by its name, and gives the replies that it got. */
function setUp() {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const reports: string[] = []
  const report = (message: string, cause: unknown): void => {
    reports.push(`${message}: ${(cause as Error).message}`)
  }
  const dispatch = new NativeDispatch(new PathOperations(vfs, { uid: 0, gid: 0 }, report), report)
  const handlers = dispatch.handlers() as Record<string, (...args: readonly unknown[]) => void>
  const ask = (name: string, ...args: readonly unknown[]): readonly (readonly unknown[])[] => {
    const replies: (readonly unknown[])[] = []
    handlers[`_op_${name}`]?.((...reply: readonly unknown[]) => replies.push(reply), ...args)
    return replies
  }
  return { vfs, reports, dispatch, handlers, ask }
}

t.test('fuse-native calls all of the handlers', ifFuseNative(), async t => {
  const { prototype } = createRequire(import.meta.url)('fuse-native') as { prototype: object }
  for (const name of Object.keys(setUp().handlers)) t.ok(name in prototype, name)
})

t.test('replies: nothing, structures, numbers, buffers', async t => {
  const { ask } = setUp()
  t.strictSame(ask('mkdir', '/d', 0o755), [[0]])
  t.match(ask('getattr', '/d'), [[0, Uint32Array]])
  t.strictSame(ask('mknod', '/f', 0o100644, 0), [[0]])
  t.match(ask('readdir', '/'), [[0, ['.', '..', 'd', 'f'], { length: 4 }]])
  t.strictSame(ask('open', '/f', 2), [[0, 1]])
  const data = Buffer.from('content')
  t.strictSame(ask('write', '/f', 1, data, 7, 5, 1), [[7, 0, data.buffer]], 'at 4 GiB and 5')
  t.match(ask('fgetattr', '/f', 1), [[0, { 3: 12, 4: 1 }]])
  const into = Buffer.alloc(10)
  t.strictSame(ask('read', '/f', 1, into, 10, 5, 1), [[7, 0, into.buffer]])
  t.equal(into.toString('utf8', 0, 7), 'content')
  t.strictSame(ask('ftruncate', '/f', 1, 3, 0), [[0]])
  t.strictSame(ask('truncate', '/f', 5, 0), [[0]])
  t.strictSame(ask('setxattr', '/f', 'user.a', data, 0, 0), [[0, data.buffer]])
  t.strictSame(ask('getxattr', '/f', 'user.a', into, 0), [[7, into.buffer]])
  t.strictSame(ask('listxattr', '/f', into), [[7, into.buffer]])
  t.strictSame(ask('removexattr', '/f', 'user.a'), [[0]])
  t.strictSame(ask('symlink', 'target', '/l'), [[0]])
  t.strictSame(ask('readlink', '/l'), [[0, 'target']])
  t.strictSame(ask('link', '/f', '/g'), [[0]])
  t.strictSame(ask('rename', '/g', '/h'), [[0]])
  t.strictSame(ask('unlink', '/h'), [[0]])
  t.strictSame(ask('rmdir', '/d'), [[0]])
  t.strictSame(ask('chmod', '/f', 0o600), [[0]])
  t.strictSame(ask('chown', '/f', 1, 2), [[0]])
  t.strictSame(ask('utimens', '/f', 1000, 0, 2000, 0), [[0]])
  t.match(ask('getattr', '/f'), [[0, { 0: 0o100600, 1: 1, 2: 2, 12: 1000, 14: 2000 }]])
  t.match(ask('statfs', '/'), [[0, Uint32Array]])
  t.strictSame(ask('release', '/f', 1), [[0]])
})

t.test('a failure is a negative errno, and gives the buffer back', async t => {
  const { ask, reports } = setUp()
  const buffer = Buffer.alloc(4)
  t.strictSame(ask('getattr', '/absent'), [[-errno.ENOENT]])
  t.strictSame(ask('read', '/f', 9, buffer, 4, 0, 0), [[-errno.EBADF, 0, buffer.buffer]])
  t.strictSame(ask('write', '/f', 9, buffer, 4, 0, 0), [[-errno.EBADF, 0, buffer.buffer]])
  t.strictSame(ask('getxattr', '/', 'user.a', buffer, 0), [[-errno.ENODATA, buffer.buffer]])
  t.strictSame(ask('setxattr', '/', 'x', buffer, 0, 0), [[-errno.EOPNOTSUPP, buffer.buffer]])
  t.strictSame(ask('listxattr', '/absent', buffer), [[-errno.ENOENT, buffer.buffer]])
  t.strictSame(reports, [])
})

t.test('what nobody foresaw is EIO, and reported', async t => {
  const { vfs, ask, reports, dispatch } = setUp()
  vfs.lookup = () => {
    throw new TypeError('a slip')
  }
  t.strictSame(ask('getattr', '/f'), [[-errno.EIO]])
  t.strictSame(ask('utimens', '/f', 1, 0), [[-errno.EIO]], 'no second time')
  t.match(reports, [/getattr: answered with EIO: a slip/, /utimens.*no times/])
  await dispatch.drained()
})

t.test('a file system that reads more than was asked for does not overrun', async t => {
  const { vfs, ask, reports } = setUp()
  ask('mknod', '/f', 0o100644, 0)
  ask('open', '/f', 2)
  vfs.read = () => [Buffer.alloc(3), Buffer.alloc(3)]
  const into = Buffer.alloc(5)
  t.strictSame(ask('read', '/f', 1, into, 5, 0, 0), [[-errno.EIO, 0, into.buffer]])
  t.equal(reports.length, 1)
})

t.test('an answer that comes later is one answer; drained() waits for it', async t => {
  const { vfs, ask, dispatch } = setUp()
  ask('mknod', '/f', 0o100644, 0)
  ask('open', '/f', 2)
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = []
  vfs.fsync = async () => new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  const [first, second] = [ask('fsync', '/f', 0, 1), ask('fsync', '/f', 1, 1)]
  let isDrained = false
  const drained = dispatch.drained().then(() => (isDrained = true))
  waiting[0]?.resolve()
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame([first, second, isDrained], [[[0]], [], false])
  waiting[1]?.reject(new FsError('ENOSPC', 'fsync'))
  await drained
  t.strictSame(second, [[-errno.ENOSPC]])
})

t.test('getxattr that takes a while fills the buffer before it answers', async t => {
  const { vfs, ask } = setUp()
  vfs.getxattr = async () => Promise.resolve(Buffer.from('12'))
  const [into, short, none] = [10, 1, 0].map(length => Buffer.alloc(length))
  const answers = [into, short, none].map(buffer => ask('getxattr', '/', 'user.a', buffer, 0))
  await new Promise(resolve => setImmediate(resolve))
  t.strictSame(answers, [
    [[2, into?.buffer]],
    [[-errno.ERANGE, short?.buffer]],
    [[2, none?.buffer]]
  ])
  t.equal(into?.toString('utf8', 0, 2), '12')
})

t.test('withBothTimes() finds the time that fuse-native does not pass on', async t => {
  const thread = Buffer.alloc(360)
  thread.writeBigInt64LE(1500n, 104)
  thread.writeBigInt64LE(-2n, 112)
  const seen: (readonly unknown[])[] = []
  const handler = withBothTimes((_thread, _opcode, ...args) => seen.push(args))
  handler(thread, 12, '/f', 1500, 0, 1500, 0)
  t.strictSame(seen, [['/f', 1500, 0, 2 ** 32 - 2, 2 ** 32 - 1]])
  handler(thread, 12, '/f', 1501, 0, 1501, 0)
  handler(thread.subarray(0, 110), 12, '/f', 1500, 0, 1500, 0)
  t.strictSame(seen.slice(1), [['/f'], ['/f']], 'laid out otherwise: no times, which is an error')
})
