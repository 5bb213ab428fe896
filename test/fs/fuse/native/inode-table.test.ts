/** Inode numbers in 32 bits: the same for the same inode, never the same for two. */
import t from 'tap'
import { FsError } from '../../../../src/fs/fs-error.ts'
import { GIVEN_INODE_FIRST, InodeTable } from '../../../../src/fs/fuse/native/inode-table.ts'
import type { InodeNumber } from '../../../../src/fs/vfs.ts'

const ino = (number: number) => number as InodeNumber

t.test('numberOf() says small numbers as they are', async t => {
  const table = new InodeTable()
  for (const small of [1, 2, 2 ** 31 - 1]) t.equal(table.numberOf(ino(small)), small)
})

t.test('numberOf() gives large ones a number of their own, and no small one', async t => {
  const table = new InodeTable()
  const large = [2 ** 31, 2 ** 32 + 1, 2 ** 52, 2 ** 52 + 2 ** 31, Number.MAX_SAFE_INTEGER]
  const numbers = large.map(number => table.numberOf(ino(number)))
  t.equal(new Set(numbers).size, large.length, 'equal in their low 32 bits or not')
  t.ok(numbers.every(number => number >= GIVEN_INODE_FIRST && number < 2 ** 32))
  t.strictSame(
    large.map(number => table.numberOf(ino(number))),
    numbers,
    'the same when asked again'
  )
})

t.test('numberOf() forgets the oldest, and gives no number twice', async t => {
  const table = new InodeTable(2)
  const seen = new Set<number>()
  for (let round = 0; round < 3; round++)
    for (let number = 0; number < 3; number++) seen.add(table.numberOf(ino(2 ** 40 + number)))
  t.equal(seen.size, 9)
  t.equal(table.numberOf(ino(2 ** 40 + 2)), GIVEN_INODE_FIRST + 8, 'the newest is remembered')
})

t.test('numberOf() fails when there is no number left', async t => {
  const table = new InodeTable(1, GIVEN_INODE_FIRST + 1)
  table.numberOf(ino(2 ** 40))
  table.numberOf(ino(2 ** 41))
  t.throws(() => table.numberOf(ino(2 ** 42)), new FsError('EIO', 'stat'))
})
