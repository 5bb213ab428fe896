/** Paths of people become names of the drive, and never leave it. */
import t from 'tap'
import { drivePath, pathText } from '../../bin/drive-path.ts'

t.test('drivePath() takes what lies in the mounted folder', async t => {
  t.strictSame(drivePath('/mnt/drive', '/mnt/drive'), [])
  t.strictSame(drivePath('/mnt/drive/a/b c', '/mnt/drive'), ['a', 'b c'])
  t.strictSame(drivePath('/mnt/drive/é', '/mnt/drive'), ['\u00C3\u00A9'], 'bytes, one a character')
  t.strictSame(drivePath('/a', '/'), ['a'])
})

t.test('drivePath() refuses what does not', async t => {
  for (const path of ['/mnt/drive2/a', '/mnt', '/', '/other'])
    t.throws(() => drivePath(path, '/mnt/drive'), { code: 'NOT_FOUND', message: /mounted at/ })
  t.throws(() => drivePath('/mnt/drive/a', undefined), {
    code: 'NOT_FOUND',
    message: /grove mount/
  })
})

t.test('pathText() begins at the root', async t => {
  t.equal(pathText([]), '/')
  t.equal(pathText(drivePath('/mnt/drive/a/b', '/mnt/drive')), '/a/b')
})
