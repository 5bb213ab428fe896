/** The real file system, over a replica on stores in memory, passes the suite of the model. */
import t from 'tap'
import { vfsSuite } from '../suites/vfs-suite.ts'
import { MemoryDrive } from '../support/memory-drive.ts'

vfsSuite(t, 'DriveVfs', {
  create: async () => {
    const drive = await MemoryDrive.create()
    return {
      vfs: drive.vfs,
      tick: () => drive.clock.advance(1),
      close: () => drive.close(),
      reopen: async () => {
        await drive.reopen({ rebuild: false })
        return drive.vfs
      }
    }
  },
  supports: { holes: true, reopen: true }
})
