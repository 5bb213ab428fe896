/** A directory is there while it lives or something is in it, however deep. */
import t from 'tap'
import type { OperationId } from '../../src/sync/operation.ts'
import { ROOT_ID } from '../../src/sync/operation.ts'
import { checkIndex } from '../support/check-index.ts'
import {
  at,
  createOf,
  DEVICE_LOGS,
  mkdirOf,
  renameOf,
  TwoDeviceIndex,
  unlinkOf
} from '../support/two-device-index.ts'

const [A, B] = DEVICE_LOGS
const DEPTH = 3000

t.test(
  'what is made in a removed directory brings all above it back, and takes it away',
  async t => {
    const devices = await TwoDeviceIndex.create()
    const { index } = devices
    const path: OperationId[] = [ROOT_ID]
    for (let depth = 0; depth < DEPTH; depth++) {
      path.push(devices.merge(A, mkdirOf('d', path.at(-1))))
    }
    const seen = new Map([[A, DEPTH]])
    for (let depth = DEPTH; depth >= 1; depth--) {
      const [parent = ROOT_ID, link = ROOT_ID] = path.slice(depth - 1)
      devices.merge(A, { type: 'rmdir', parent, links: [link], time: at(9) })
    }
    t.strictSame(devices.names(), {})
    t.equal(index.inode(1).children, 0)
    const file = devices.merge(B, createOf('f', path.at(-1)), seen)
    let ino = 1
    for (let depth = 0; depth < DEPTH; depth++) ino = index.lookup(ino, 'd' as never)?.ino ?? 0
    t.equal(index.lookup(ino, 'f' as never)?.ino, index.find(file))
    t.equal(index.parentOf(ino), index.directoryOf(path.at(-2) ?? ROOT_ID))
    devices.merge(B, unlinkOf(file, path.at(-1)))
    t.strictSame(devices.names(), {})
    checkIndex(index)
  }
)

t.test('a directory that was moved while it was removed comes back where it was moved', async t => {
  const devices = await TwoDeviceIndex.create()
  const { index } = devices
  const [outer, inner] = [devices.merge(A, mkdirOf('outer')), devices.merge(A, mkdirOf('inner'))]
  const seen = new Map([[A, 2]])
  devices.merge(A, { type: 'rmdir', parent: ROOT_ID, links: [inner], time: at(9) })
  devices.merge(A, { type: 'rmdir', parent: ROOT_ID, links: [outer], time: at(9) })
  t.strictSame(devices.names(), {})
  devices.merge(B, renameOf(inner, 'moved', { parent: outer }), seen)
  t.strictSame(Object.keys(devices.names()), ['outer'], 'a move is a use, and needs its place')
  const ino = index.lookup(1, 'outer' as never)?.ino ?? 0
  t.strictSame([...index.list(ino).keys()], ['moved'])
  checkIndex(index)
})
