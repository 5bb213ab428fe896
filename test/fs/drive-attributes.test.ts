/** Inode records as stat(2) shows them. */
import t from 'tap'
import {
  attributesOf,
  isNameless,
  kindOf,
  SECTOR_BYTES,
  typeOf
} from '../../src/fs/drive-attributes.ts'
import {
  ROOT_INODE,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK
} from '../../src/fs/vfs.ts'
import type { InodeKind, InodeRecord, LinkRecord } from '../../src/sync/inode-record.ts'
import { ROOT_ID, type Name } from '../../src/sync/operation.ts'
import { filled } from '../support/bytes.ts'

const TYPES: Readonly<Record<InodeKind, number>> = {
  ...{ file: S_IFREG, directory: S_IFDIR, symlink: S_IFLNK, fifo: S_IFIFO },
  ...{ socket: S_IFSOCK, character: S_IFCHR, block: S_IFBLK }
}
const LINK: LinkRecord = { id: ROOT_ID, parent: 1, name: 'a' as Name }

function record(changes: Partial<InodeRecord>): InodeRecord {
  const [atime, mtime, ctime] = [1, 2, 3].map(sec => ({ sec, nsec: sec }))
  if (!atime || !mtime || !ctime) throw new Error('three times')
  return {
    ...{ ino: 7, id: ROOT_ID, version: ROOT_ID, kind: 'file', mode: 0o4755, uid: 5, gid: 6 },
    ...{ rdev: 8, size: 100, allocated: 100, atime, mtime, ctime, links: [LINK] },
    ...{ children: 0, subdirectories: 0, xattrs: 0, target: new Uint8Array(0) },
    ...changes
  }
}

t.test('attributesOf() has type, times, owner and device as recorded', async t => {
  for (const [kind, type] of Object.entries(TYPES)) {
    const attributes = attributesOf(record({ kind: kind as InodeKind }))
    t.equal(attributes.mode, type | 0o4755, kind)
    t.match(attributes, { ino: 7, uid: 5, gid: 6, rdev: 8 })
    t.match(attributes, { atime: { sec: 1 }, mtime: { sec: 2 }, ctime: { sec: 3, nsec: 3 } })
  }
})

t.test('sizes: of a symbolic link that of its target; blocks are whole sectors', async t => {
  t.equal(attributesOf(record({ size: 12345 })).size, 12345)
  t.equal(attributesOf(record({ kind: 'symlink', size: 0, target: filled(9, 97) })).size, 9)
  for (const [allocated, blocks] of [
    [0, 0],
    [1, 1],
    [SECTOR_BYTES, 1],
    [SECTOR_BYTES + 1, 2]
  ] as const) {
    t.equal(attributesOf(record({ allocated })).blocks, blocks)
  }
})

t.test('link counts: names of a file, 2 and the subdirectories of a directory', async t => {
  const nlink = (changes: Partial<InodeRecord>): number => attributesOf(record(changes)).nlink
  t.equal(nlink({ links: [LINK, LINK, LINK] }), 3)
  t.equal(nlink({ links: [] }), 0)
  t.equal(nlink({ kind: 'directory', subdirectories: 4, children: 9 }), 6)
  t.equal(nlink({ kind: 'directory', links: [] }), 0, 'removed')
  t.equal(nlink({ kind: 'directory', links: [], ino: ROOT_INODE }), 2, 'the root has no name')
})

t.test('isNameless(): what has no name and is not the root', async t => {
  t.ok(isNameless(record({ links: [] })))
  t.notOk(isNameless(record({})))
  t.notOk(isNameless(record({ links: [], ino: ROOT_INODE })))
})

t.test('typeOf() and kindOf() are inverse for what mknod makes', async t => {
  for (const [kind, type] of Object.entries(TYPES)) {
    t.equal(typeOf(kind as InodeKind), type)
    const isMade = kind !== 'directory' && kind !== 'symlink'
    t.equal(kindOf(type), isMade ? kind : undefined, kind)
  }
  t.equal(kindOf(0), 'file', 'no type bits mean a regular file')
  t.equal(kindOf(0o170000), undefined)
})
