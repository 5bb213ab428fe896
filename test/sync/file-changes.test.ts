/** What operations change of a file's content and attributes, and of nothing else. */
import t from 'tap'
import { advanceContent, changeFile } from '../../src/sync/file-changes.ts'
import type { Name } from '../../src/sync/operation.ts'
import { checkIndex } from '../support/check-index.ts'
import { at, createOf, DEVICE_LOGS, TwoDeviceIndex, writeOf } from '../support/two-device-index.ts'

const [A, , CONTENT] = DEVICE_LOGS
const NAME = 'user.x' as Name

t.test('each change sets what it names, and the ctime', async t => {
  const { index, ...devices } = await made()
  const { file, ino } = devices
  const id = { log: A, index: 1, number: 0 }
  const seen = { inode: file, base: file }
  const change = (operation: Parameters<typeof changeFile>[2]['operation']) => {
    changeFile(index, ino, { id, operation })
    checkIndex(index)
    return index.record(ino)
  }
  const set = { type: 'setattr' as const, ...seen, uid: 7, mtime: at(3), time: at(10) }
  t.match(change(set), { uid: 7, gid: 1, mode: 0o644, mtime: at(3), atime: at(1), ctime: at(10) })
  const value = Uint8Array.of(1, 2)
  t.match(change({ type: 'setxattr', ...seen, name: NAME, value, time: at(11) }), { xattrs: 1 })
  value.fill(0)
  t.strictSame(index.xattr(ino, NAME)?.value, Uint8Array.of(1, 2), 'a copy')
  t.match(change({ type: 'setxattr', ...seen, name: NAME, value, time: at(12) }), { xattrs: 1 })
  const removal = { type: 'removexattr' as const, ...seen, name: NAME }
  t.match(change({ ...removal, time: at(13) }), { xattrs: 0, ctime: at(13) })
  t.match(change({ ...removal, time: at(14) }), { xattrs: 0, ctime: at(14) })
  const write = writeOf(file, file, 1)
  if (write.type !== 'write') throw new Error('no write')
  t.match(change(write), { size: 3, allocated: 3, version: id, mtime: at(2), ctime: at(2) })
  const cut = { type: 'truncate' as const, ...seen, through: file, size: 1, time: at(20) }
  t.match(change(cut), { size: 1, allocated: 1, mtime: at(20) })
})

t.test('a version alone leaves the times, and says what it superseded', async t => {
  const { index, ino } = await made()
  const id = (number: number) => ({ log: A, index: 1, number })
  const piece = (block: number) => ({
    ...{ kind: 'block' as const, offset: 0, length: 5, log: CONTENT, index: block },
    ...{ hash: new Uint8Array(32), blockOffset: 0 }
  })
  const seen = { inode: id(0), base: id(0), through: id(0), size: 5 }
  for (const number of [1, 2]) {
    const operation = { type: 'write' as const, ...seen, pieces: [piece(number)], time: at(50) }
    advanceContent(index, ino, { id: id(number), operation })
  }
  t.match(index.record(ino), { size: 5, allocated: 5, version: id(2), mtime: at(1), ctime: at(1) })
  const superseded = [...index.content.supersededBefore(100, Infinity)]
  t.match(superseded, [{ index: 1, sec: 50, by: id(2) }])
  checkIndex(index)
})

async function made() {
  const devices = await TwoDeviceIndex.create()
  const file = devices.merge(A, createOf('f'))
  return { index: devices.index, file, ino: devices.names()['f'] ?? 0 }
}
