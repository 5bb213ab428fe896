/** Golden vectors of the words that fuse-native copies into libfuse's structures. */
import t from 'tap'
import {
  entryWords,
  statfsWords,
  statWords,
  timeOfMilliseconds,
  wideNumber
} from '../../../../src/fs/fuse/native/stat-words.ts'
import type { Attributes, DirectoryEntry, InodeNumber } from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'

const attributes: Attributes = {
  ino: (2 ** 52) as InodeNumber,
  size: 2 ** 40 + 5,
  blocks: 2 ** 33 + 6,
  atime: { sec: 1, nsec: 2_999_999 },
  mtime: { sec: 2 ** 33, nsec: 999_999_999 },
  ctime: { sec: -1, nsec: 5 },
  mode: 0o100644,
  nlink: 0,
  uid: 2 ** 32 - 2,
  gid: 8,
  rdev: 0x103
}

t.test(
  'statWords() has wide fields in halves, milliseconds, and 1970 for what is before',
  async t => {
    const ms = (2 ** 33 * 1000 + 999) % 2 ** 32
    t.strictSame(
      [...statWords(attributes, 9)],
      [
        ...[0o100644, 2 ** 32 - 2, 8, 5, 256, 0, 0, 9, 0x103, 4096, 6, 2],
        ...[1002, 0, ms, Math.floor((2 ** 33 * 1000) / 2 ** 32), 0, 0]
      ]
    )
  }
)

t.test('entryWords() has type and number', async t => {
  const entry = { name: 'a' as Name, ino: 5 as InodeNumber, type: 0o40000, nextOffset: 1 }
  const words = entryWords(entry satisfies DirectoryEntry, 77)
  t.strictSame([words.length, words[0], words[7]], [18, 0o40000, 77])
})

t.test('statfsWords() says what fits as it is, and takes a larger unit for more', async t => {
  const counts = { blocksFree: 500, blocksAvailable: 400, inodes: 2 ** 40, inodesFree: 70 }
  const max = 2 ** 32 - 1
  t.strictSame(
    [...statfsWords({ blockBytes: 4096, blocks: 1000, ...counts })],
    [4096, 4096, 1000, 500, 400, max, 70, 70, 0, 0, 255]
  )
  const huge = statfsWords({ ...counts, blockBytes: 4096, blocks: 2 ** 34, blocksFree: 2 ** 33 })
  t.strictSame([...huge].slice(0, 4), [4096 * 8, 4096 * 8, 2 ** 31, 2 ** 30])
})

t.test('wideNumber() and timeOfMilliseconds() have a sign', async t => {
  t.equal(wideNumber(5, 1), 2 ** 32 + 5)
  t.equal(wideNumber(2 ** 32 - 1500, 2 ** 32 - 1), -1500)
  t.strictSame(timeOfMilliseconds(-1500), { sec: -2, nsec: 500_000_000 })
  t.strictSame(timeOfMilliseconds(1_000_250), { sec: 1000, nsec: 250_000_000 })
})
