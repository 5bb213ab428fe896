/** Grants are sets; who is not limited may have everything. */
import t from 'tap'
import {
  GRANTED_WINDOWS_MAX,
  LIMITED_PEERS_MAX,
  UploadGrants
} from '../../src/replication/upload-grants.ts'
import { blockSetsOf, indexesOf, type BlockSet } from '../../src/sync/block-bitmap.ts'
import { logKey } from '../../src/sync/log.ts'
import { filled } from '../support/bytes.ts'

const LOG = logKey('ab'.repeat(32))
const OTHER = logKey('cd'.repeat(32))
const PEER = filled(32, 1)

const blocks = (indexes: readonly number[], log = LOG): BlockSet => {
  const [set] = blockSetsOf(log, indexes)
  if (set === undefined) throw new Error('no blocks')
  return set
}

t.test('a limited peer may have what it is granted, and no more once it is withdrawn', async t => {
  const grants = new UploadGrants()
  const told: (readonly [number, number[]])[] = []
  grants.onChange = (publicKey, set) => {
    t.same(publicKey, PEER)
    told.push([set.window, [...indexesOf(set)]])
  }
  t.ok(grants.mayUpload(PEER, LOG, 5), 'it is not limited')
  grants.limit(PEER)
  t.ok(grants.isLimited(PEER))
  t.notOk(grants.mayUpload(PEER, LOG, 5))
  grants.grant(PEER, blocks([5, 6]))
  grants.limit(PEER)
  grants.grant(PEER, blocks([7]))
  grants.grant(PEER, blocks([2000]))
  t.ok([5, 6, 7, 2000].every(index => grants.mayUpload(PEER, LOG, index)))
  t.notOk(grants.mayUpload(PEER, LOG, 8) || grants.mayUpload(PEER, OTHER, 5))
  t.ok(grants.mayUpload(filled(32, 2), LOG, 8), 'another is not limited')
  t.same(
    grants.granted(PEER, LOG).map(set => [...indexesOf(set)]),
    [[5, 6, 7], [2000]]
  )
  grants.withdraw(PEER, blocks([5, 900]))
  grants.withdraw(PEER, blocks([2000]))
  grants.withdraw(PEER, blocks([3000]))
  grants.withdraw(PEER, blocks([1], OTHER))
  t.notOk(grants.mayUpload(PEER, LOG, 5) || grants.mayUpload(PEER, LOG, 2000))
  t.same(told, [
    [0, [5, 6]],
    [0, [5, 6, 7]],
    [1, [2000]],
    [0, [6, 7]],
    [1, []]
  ])
  grants.unlimit(PEER)
  t.ok(grants.mayUpload(PEER, LOG, 5))
  t.same(grants.granted(PEER, LOG), [])
  t.notOk(grants.isLimited(PEER))
})

t.test('there are not too many of them', async t => {
  const grants = new UploadGrants()
  t.throws(() => grants.grant(PEER, blocks([1])), RangeError)
  const peer = (number: number): Uint8Array => Buffer.alloc(32, `peer ${String(number)}`)
  for (let number = 0; number < LIMITED_PEERS_MAX; number++) grants.limit(peer(number))
  t.throws(() => grants.limit(PEER), RangeError)
  for (let window = 0; window < GRANTED_WINDOWS_MAX; window++)
    grants.grant(peer(0), blocks([window * 1024], window % 2 === 0 ? LOG : OTHER))
  t.throws(() => grants.grant(peer(0), blocks([1], OTHER)), RangeError)
  grants.grant(peer(0), blocks([1]))
  t.ok(grants.mayUpload(peer(0), LOG, 1), 'a window that has some takes more')
})
