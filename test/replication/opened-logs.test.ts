/** Nothing is said of a log of the home that is none of theirs. */
import t from 'tap'
import { LogHome } from '../../src/replication/log-home.ts'
import { OpenedLogs } from '../../src/replication/opened-logs.ts'
import { countBits, indexesOf } from '../../src/sync/block-bitmap.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { identityOf, withDirectory } from '../support/hypercore-home.ts'
import { rejectsWith } from '../suites/log-suite.ts'

t.test('a log is seen by those that know it', async t => {
  await withDirectory(async directory => {
    const home = await LogHome.open({ directory })
    const content = await home.openBlockStore(identityOf('content'))
    await content.append([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')], 0)
    await content.clear({ from: 1, to: 2 })
    const logs = new OpenedLogs(home, log => log === content.key)
    const none = new OpenedLogs(home, () => false)
    t.same([logs.length(content.key), logs.contiguousLength(content.key)], [3, 1])
    t.same([...indexesOf({ window: 0, bitmap: logs.stored(content.key, 0) })], [0, 2])
    t.equal(Buffer.from(await logs.read(content.key, 2)).toString(), 'c')
    t.same(await logs.treeHash(content.key, 2), await content.treeHash(2))
    t.equal(logs.core(content.key), home.replicated(content.key))
    t.same([none.length(content.key), none.contiguousLength(content.key)], [0, 0])
    t.equal(countBits(none.stored(content.key, 0)), 0)
    t.throws(() => none.core(content.key), SyncError)
    await rejectsWith(t, 'MISSING', () => none.read(content.key, 0), 'a block')
    await rejectsWith(t, 'MISSING', () => none.treeHash(content.key, 0), 'a hash')
    await home.close()
  })
})
