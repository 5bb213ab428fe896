/**
 * Mounts a {@link MemoryVfs} by the fuse-native driver, unmounts it, and does so again; then has
 * nothing more to do. For the test that such a process comes to its end. Its argument is an empty
 * directory.
 *
 * @module
 */
import { mountFuseNative } from '../../src/fs/fuse/fuse-native-driver.ts'
import { MemoryVfs } from './memory-vfs.ts'
import { VirtualClock } from './virtual-clock.ts'

const [directory = ''] = process.argv.slice(2)

for (const round of ['once', 'twice']) {
  const mount = await mountFuseNative({
    vfs: new MemoryVfs({ clock: new VirtualClock(), uid: 0, gid: 0 }),
    directory,
    readOnly: false,
    allowOther: false,
    report: (message, cause) => process.stdout.write(`${message}: ${String(cause)}\n`)
  })
  await mount.unmount({ lazy: false })
  await mount.ended
  process.stdout.write(`${round}\n`)
}
