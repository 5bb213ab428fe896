/** Whatever a call fails with, it is an error of the file system. */
import t from 'tap'
import { FsError } from '../../src/fs/fs-error.ts'
import { guard, guardAsync } from '../../src/fs/vfs-guard.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

t.test('guard() passes values on and translates what is thrown or rejected', async t => {
  t.equal(
    guard('read', () => 7),
    7
  )
  t.equal(await guard('read', async () => Promise.resolve(8)), 8)
  const unreachable = new SyncError('UNREACHABLE', 'nobody has it')
  const thrown = (): unknown => {
    throw unreachable
  }
  t.throws(() => guard('read', thrown), { code: 'EHOSTUNREACH', cause: unreachable })
  const late = guard('read', async () => Promise.reject(new SyncError('TIMED_OUT', 'late')))
  await t.rejects(late, { code: 'ETIMEDOUT' })
  const own = new FsError('EXDEV', 'rename')
  t.equal(
    errorOf(() => guard('read', () => raise(own))),
    own
  )
})

t.test('guardAsync() rejects and never throws', async t => {
  await guardAsync('fsync', async () => undefined)
  const failing = guardAsync('fsync', () => raise(new SyncError('INTERRUPTED', 'given up')))
  await t.rejects(failing, { code: 'EINTR' })
})

function raise(error: Error): never {
  throw error
}

function errorOf(call: () => unknown): unknown {
  try {
    return call()
  } catch (error) {
    return error
  }
}
