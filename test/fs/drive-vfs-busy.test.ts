/**
 * One device passes the whole suite while another one changes things beside it and is merged at
 * every wait.
 */
import t from 'tap'
import { ROOT_INODE, type InodeNumber } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { BusyVfs } from '../support/busy-vfs.ts'
import { MemoryDrive } from '../support/memory-drive.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { vfsSuite } from '../suites/vfs-suite.ts'

/** So many waits of a case bring a merge each, then one in so many. */
const MERGES_MIN = 8
const WAITS_PER_MERGE = 50

vfsSuite(t, 'DriveVfs beside another device', {
  create: async () => {
    const clock = new VirtualClock()
    const here = await MemoryDrive.create({ clock, device: 'here' })
    const there = await MemoryDrive.create({ clock, device: 'there' })
    const other = new VfsSession(there.vfs)
    other.mkdir('theirs')
    let [waits, merges] = [0, 0]
    const merge = async (): Promise<void> => {
      if (waits++ > MERGES_MIN && waits % WAITS_PER_MERGE > 0) return
      const path = `theirs/f${merges++ % 3}`
      if (merges % 5 === 0 && other.exists(path)) there.vfs.unlink(other.place(path))
      else await other.writeFile(path, patternBytes(1000 * (merges % 7), merges))
      await there.vfs.syncfs()
      await here.catchUpWith(there)
    }
    await merge()
    const base = (): InodeNumber => new VfsSession(here.vfs).ino('base')
    const { uid, gid } = { uid: 0, gid: 0 }
    here.vfs.mkdir({ parent: ROOT_INODE, name: 'base' as Name }, 0o755, { uid, gid })
    return {
      vfs: new BusyVfs(here.vfs, base(), merge).vfs,
      tick: () => clock.advance(1),
      close: async () => {
        await here.close()
        await there.close()
      },
      reopen: async () => {
        await here.reopen({ rebuild: false })
        return new BusyVfs(here.vfs, base(), merge).vfs
      }
    }
  },
  supports: { holes: true, reopen: true }
})
