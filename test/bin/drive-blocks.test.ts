/** What a keeper answers is compared to the hash that files have of a block, or says nothing. */
import t from 'tap'
import { DriveBlocks } from '../../bin/drive-blocks.ts'
import type { DeviceKeptLogs } from '../../src/replication/device-kept-logs.ts'
import { emptyBitmap } from '../../src/sync/block-bitmap.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'

t.test('bytes of a block that is not here are compared, whatever the policy', async t => {
  const drive = await MemoryDrive.create()
  t.teardown(() => drive.close())
  const session = new VfsSession(drive.vfs)
  await session.writeFile('f', patternBytes(300_000))
  await drive.replica.sync()
  const { index } = drive.replica
  const [place] = drive.replica.blocksOf(session.ino('f'))
  if (place === undefined) throw new Error('no block')
  const block = { log: index.logs.keyOf(place.log), index: place.index }
  for (const keepsAll of [true, false]) {
    const logs = { stored: () => emptyBitmap() } as unknown as DeviceKeptLogs
    const blocks = new DriveBlocks({
      logs,
      replica: drive.replica,
      blocksOf: () => undefined,
      keepsAll: () => keepsAll
    })
    const forged = { ...block, bytes: Buffer.from('forged') }
    t.equal(await blocks.isGenuine(forged), undefined, 'before anything is known')
    const pause = (): Promise<void> => Promise.resolve()
    await blocks.filesChanged(await drive.replica.scanNeeds(pause), pause)
    t.equal(await blocks.isGenuine(forged), false, `content ${keepsAll ? 'all' : 'on demand'}`)
    const bytes = await drive.contentLog.get(block.index)
    t.equal(await blocks.isGenuine({ ...block, bytes }), true, 'what was written')
    t.equal(await blocks.isGenuine({ ...forged, index: 999_999 }), undefined, 'used by no file')
  }
})
