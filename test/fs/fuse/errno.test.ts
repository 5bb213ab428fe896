/**
 * Failures become the numbers that Linux gives them, and what no one foresaw becomes EIO and is
 * reported.
 */
import t from 'tap'
import { errnoOf, errnoOfCode } from '../../../src/fs/fuse/errno.ts'
import { FsError } from '../../../src/fs/fs-error.ts'

t.test('errnoOfCode() is the number of errno(3)', async t => {
  const expected = {
    ENOENT: 2,
    EIO: 5,
    EEXIST: 17,
    ENODATA: 61,
    EOPNOTSUPP: 95,
    ESTALE: 116
  } as const
  for (const code of ['ENOENT', 'EIO', 'EEXIST', 'ENODATA', 'EOPNOTSUPP', 'ESTALE'] as const)
    t.equal(errnoOfCode(code), expected[code], code)
})

t.test('errnoOf() reports what no one foresaw, and nothing else', async t => {
  const reports: unknown[] = []
  const report = (message: string, cause: unknown): void => void reports.push([message, cause])
  t.equal(errnoOf(new FsError('ENOSPC', 'write'), 'WRITE', report), 28)
  t.strictSame(reports, [])
  const fault = new TypeError('x is not a function')
  t.equal(errnoOf(fault, 'WRITE', report), 5)
  t.strictSame(reports, [['WRITE: answered with EIO', fault]])
  t.equal(errnoOf(undefined, 'READ', report), 5)
  t.equal(errnoOf(Object.assign(new Error('x'), { code: 'ENOENT' }), 'READ', report), 5)
  t.equal(reports.length, 3, 'a code on another class is not ours')
})
