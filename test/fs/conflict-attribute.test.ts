/** The attribute keeps the bytes of the name, whatever they are. */
import t from 'tap'
import { conflictAttribute, XATTR_CONFLICT } from '../../src/fs/conflict-attribute.ts'
import type { Name } from '../../src/sync/operation.ts'

t.test('conflictAttribute() is the name in its bytes, and the device', async t => {
  const value = conflictAttribute({ original: 'a\xff.txt' as Name, otherDevice: 'Büro' })
  t.equal(Buffer.from(value).toString('latin1'), 'a\xff.txt from B\xc3\xbcro')
  t.equal(XATTR_CONFLICT, 'user.grove.conflict')
})
