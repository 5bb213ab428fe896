/**
 * Mounting as a user who is not root, through fusermount3. As root it is shown by
 * linux-driver.test.ts.
 */
import { join } from 'node:path'
import t from 'tap'
import { kernelMount } from '../../../../src/fs/fuse/linux/kernel-mount.ts'
import type { FuseAddon } from '../../../../src/fs/fuse/linux/fuse-device.ts'
import { ifOtherUser, NOBODY, runAsNobody } from '../../../support/other-user.ts'
import type { OtherUserReport } from '../../../support/other-user-mount.ts'

t.test('a user mounts, unmounts and clears a dead mount', ifOtherUser(), async t => {
  const program = join(import.meta.dirname, '../../../support/other-user-mount.ts')
  const report = JSON.parse(await runAsNobody(program, [])) as OtherUserReport
  t.match(report, {
    uid: NOBODY,
    entry: { type: 'fuse.grove', source: 'grove' },
    content: 'mine',
    owner: NOBODY,
    busy: 'BUSY',
    isLeft: false,
    cleared: 'cleared',
    isLeftWhenCleared: false
  })
})

t.test('what the kernel refuses is said in one line', async t => {
  const closed: number[] = []
  const refusing = (mountResult: number): FuseAddon =>
    ({
      openDevice: () => 7,
      mount: async () => mountResult,
      closeDescriptor: (fd: number) => closed.push(fd)
    }) as unknown as FuseAddon
  if (process.geteuid?.() !== 0) return
  const options = { directory: '/nowhere', readOnly: false, allowOther: false }
  await t.rejects(kernelMount(refusing(-1), options), { code: 'FAILED', message: /SYS_ADMIN/ })
  await t.rejects(kernelMount(refusing(-2), options), { code: 'FAILED', message: /errno 2/ })
  t.strictSame(closed, [7, 7], 'the descriptor does not leak')
  const noDevice = { openDevice: () => -2 } as unknown as FuseAddon
  await t.rejects(kernelMount(noDevice, options), { code: 'NO_DEVICE', message: /modprobe fuse/ })
})
