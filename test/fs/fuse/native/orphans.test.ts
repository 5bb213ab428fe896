/** Files that were unlinked while open, over the naive model of the file system. */
import t from 'tap'
import { HIDDEN_COUNT_SLACK, Orphans } from '../../../../src/fs/fuse/native/orphans.ts'
import { ROOT_INODE, S_IFREG, type InodeNumber } from '../../../../src/fs/vfs.ts'
import type { Name } from '../../../../src/sync/operation.ts'
import { MemoryVfs } from '../../../support/memory-vfs.ts'
import { VirtualClock } from '../../../support/virtual-clock.ts'

const placeOf = (name: string) => ({ parent: ROOT_INODE, name: name as Name })
const hiddenName = (count: number) =>
  `.fuse_hidden00000007${count.toString(16).padStart(8, '0')}` as Name

function setUp() {
  const vfs = new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 })
  const reports: string[] = []
  const orphans = new Orphans(vfs, message => reports.push(message))
  const make = (name: string): InodeNumber =>
    vfs.mknod(placeOf(name), { mode: S_IFREG | 0o644, rdev: 0 }, { uid: 0, gid: 0 }).ino
  const hide = (name: string, count: number): InodeNumber => {
    const { ino } = vfs.lookup(placeOf(name))
    orphans.hide({ path: `/${name}`, place: placeOf(name), ino }, hiddenName(count))
    return ino
  }
  const isThere = (name: string): boolean => {
    const handle = vfs.opendir(ROOT_INODE)
    let found = false
    vfs.readdir(handle, 0, entry => {
      found ||= entry.name === name
      return true
    })
    vfs.releasedir(handle)
    return found
  }
  return { vfs, reports, orphans, make, hide, isThere }
}

t.test('hide() unlinks when settled, keeps the inode, and drop() lets it go', async t => {
  const { vfs, orphans, make, hide, isThere } = setUp()
  make('f')
  const ino = hide('f', 1)
  t.equal(orphans.inodeOf(hiddenName(1)), ino)
  t.ok(orphans.isIn(ROOT_INODE))
  t.ok(isThere('f'), 'a rename may still come')
  orphans.settle()
  t.notOk(isThere('f'))
  t.equal(vfs.getattr(ino).nlink, 0)
  orphans.drop(hiddenName(1))
  t.throws(() => vfs.getattr(ino), { code: 'ENOENT' })
  t.equal(orphans.inodeOf(hiddenName(1)), undefined)
  t.notOk(orphans.isIn(ROOT_INODE))
})

t.test('hide() unlinks by itself when no request comes', async t => {
  const { make, hide, isThere } = setUp()
  make('f')
  hide('f', 1)
  for (let waitedMs = 0; isThere('f') && waitedMs < 5000; waitedMs += 5)
    await new Promise(resolve => setTimeout(resolve, 5))
  t.notOk(isThere('f'))
})

t.test('what a rename replaces is not unlinked', async t => {
  const { vfs, orphans, make, hide } = setUp()
  make('f')
  const moved = make('g')
  const ino = hide('f', 1)
  t.notOk(orphans.isReplacedBy('/other'))
  t.ok(orphans.isReplacedBy('/f'))
  vfs.rename(placeOf('g'), placeOf('f'), 'replace')
  orphans.replaced()
  orphans.settle()
  t.equal(vfs.lookup(placeOf('f')).ino, moved)
  t.equal(vfs.getattr(ino).nlink, 0)
  orphans.drop(hiddenName(1))
})

t.test('what has got the name meanwhile is not unlinked', async t => {
  const { vfs, reports, orphans, make, hide } = setUp()
  make('f')
  hide('f', 1)
  vfs.unlink(placeOf('f'))
  const other = make('f')
  orphans.settle()
  t.equal(vfs.lookup(placeOf('f')).ino, other)
  hide('f', 2)
  vfs.unlink(placeOf('f'))
  orphans.settle()
  t.strictSame(reports, [], 'that it is gone already is no fault')
  orphans.close()
  t.equal(vfs.inodeCount, 1)
})

t.test('a name that cannot be unlinked is reported', async t => {
  const { vfs, reports, orphans, make, hide } = setUp()
  make('f')
  hide('f', 1)
  vfs.unlink = () => {
    throw new Error('not today')
  }
  orphans.settle()
  t.match(reports, ['unlink: an open file keeps its name'])
})

t.test('isNextHiddenName() knows what libfuse makes up, and near which count', async t => {
  const { orphans, make, hide } = setUp()
  t.ok(orphans.isNextHiddenName(hiddenName(1)))
  const near = 1000
  t.notOk(orphans.isNextHiddenName(hiddenName(near)))
  for (const name of ['f', '.fuse_hidden', `${hiddenName(1)}0`, '.fuse_hidden0000000700000G01'])
    t.notOk(orphans.isNextHiddenName(name as Name), name)
  make('f')
  hide('f', HIDDEN_COUNT_SLACK)
  t.ok(orphans.isNextHiddenName(hiddenName(2 * HIDDEN_COUNT_SLACK)))
  t.ok(orphans.isNextHiddenName(hiddenName(1)), 'requests may overtake one another')
  orphans.close()
})

t.test('hideAgain() and dropAllOf()', async t => {
  const { vfs, orphans, make, hide } = setUp()
  make('f')
  const ino = hide('f', 1)
  orphans.settle()
  orphans.hideAgain(hiddenName(1), hiddenName(2))
  orphans.hideAgain(hiddenName(9), hiddenName(3))
  t.strictSame(
    [1, 2, 3].map(count => orphans.inodeOf(hiddenName(count))),
    [undefined, ino, undefined]
  )
  orphans.dropAllOf(ino, hiddenName(2))
  t.equal(vfs.rememberedCount(ino), 1)
  orphans.dropAllOf(ino, 'other' as Name)
  t.equal(vfs.inodeCount, 1)
})
