/** Errors of the rooms below become those of a file system call. */
import t from 'tap'
import { asFsError } from '../../src/fs/as-fs-error.ts'
import { FsError } from '../../src/fs/fs-error.ts'
import { SyncError, type SyncErrorCode } from '../../src/sync/sync-error.ts'

t.test('a full disk is ENOSPC, every other error of the model EIO, the cause kept', async t => {
  const codes: SyncErrorCode[] = [
    ...(['MISSING', 'DAMAGED', 'NEWER_FORMAT', 'MALFORMED', 'DIVERGED', 'CLOSED', 'IO'] as const)
  ]
  for (const code of codes) {
    const cause = new SyncError(code, 'by the test')
    const error = asFsError(cause, 'read')
    t.match(error, { code: 'EIO', message: /read/ }, code)
    t.equal(error.cause, cause)
  }
  const full = new SyncError('NO_SPACE', 'by the test')
  t.match(asFsError(full, 'fsync'), { code: 'ENOSPC', message: /fsync/ })
})

t.test('an FsError stays what it is, anything else is EIO', async t => {
  const error = new FsError('ENOENT', 'lookup')
  t.equal(asFsError(error, 'other'), error)
  for (const cause of [new TypeError('a mistake'), 'a string', undefined]) {
    const made = asFsError(cause, 'write')
    t.match(made, { code: 'EIO', message: /write/ })
    t.equal(made.cause, cause)
  }
})
