/** The numbers of open files. */
import t from 'tap'
import { OpenFiles, type OpenFile } from '../../../../src/fs/fuse/native/open-files.ts'
import type { HandleId, InodeNumber } from '../../../../src/fs/vfs.ts'

const file = (ino: number, handle: number): OpenFile => ({
  ino: ino as InodeNumber,
  handle: handle as HandleId
})

t.test('numbers are not 0, differ while open and are used again', async t => {
  const files = new OpenFiles()
  const numbers = [file(7, 2 ** 40), file(7, 2), file(8, 3)].map(each => files.add(each))
  t.strictSame(numbers, [1, 2, 3])
  t.strictSame(files.get(1), file(7, 2 ** 40))
  t.strictSame(files.remove(2), file(7, 2))
  t.equal(files.add(file(9, 4)), 2)
  t.equal(files.add(file(9, 5)), 4)
})

t.test('a number that is not open: EBADF', async t => {
  const files = new OpenFiles()
  const number = files.add(file(1, 1))
  files.remove(number)
  for (const wrong of [0, number, 5, -1]) {
    t.throws(() => files.get(wrong), { code: 'EBADF' })
    t.throws(() => files.remove(wrong), { code: 'EBADF' })
  }
})

t.test('isOpen() counts', async t => {
  const files = new OpenFiles()
  const [first, second] = [files.add(file(7, 1)), files.add(file(7, 2))]
  files.remove(first)
  t.ok(files.isOpen(7 as InodeNumber))
  files.remove(second)
  t.notOk(files.isOpen(7 as InodeNumber))
})

t.test('add() fails when too many are open, and clear() takes all out', async t => {
  const files = new OpenFiles(2)
  files.add(file(1, 1))
  files.add(file(2, 2))
  t.throws(() => files.add(file(3, 3)), { code: 'EMFILE' })
  t.strictSame(files.clear(), [file(1, 1), file(2, 2)])
  t.notOk(files.isOpen(1 as InodeNumber))
  t.equal(files.add(file(3, 3)), 1)
})
