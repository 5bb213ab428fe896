/** Errors of file system calls say which errno and which call, and no name. */
import t from 'tap'
import { absence, FsError } from '../../src/fs/fs-error.ts'

t.test('an FsError has its errno, its call and its cause', async t => {
  const cause = new Error('why')
  const error = new FsError('EIO', 'read', { cause })
  t.match(error, { name: 'FsError', code: 'EIO', message: 'EIO: read' })
  t.equal(error.cause, cause)
  t.ok(error instanceof Error)
})

t.test('absence() is the one ENOENT of a call', async t => {
  t.match(absence('lookup'), { code: 'ENOENT', message: 'ENOENT: lookup' })
  t.ok(absence('lookup') instanceof FsError)
  t.equal(absence('lookup'), absence('lookup'))
  t.match(absence('unlink'), { message: 'ENOENT: unlink' })
})
