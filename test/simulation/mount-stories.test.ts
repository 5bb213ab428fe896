/**
 * Some of the stories that are told over memory, told over three real mounts: daemons, kernel,
 * network and programs are those that people have.
 */
import { existsSync } from 'node:fs'
import t from 'tap'
import { MountFleet } from './mount-scenario.ts'
import { STORIES } from './stories.ts'

/** Neither the power of this machine is cut, nor do programs keep files open while it is parted. */
const TOLD = [
  'what is written on one device is read on the others',
  'two edits of one file apart: both are kept, one as a conflict copy',
  'directories of one name made apart are one',
  'a file that is open here is written after it was removed there, and lives again',
  'an open file stays what it was when another takes its name',
  'a process that is killed loses nothing that it wrote to its logs'
]
/** All of them, on a busy machine. */
const TEST_MS_MAX = 300_000

const skip = existsSync('/dev/fuse') ? false : 'no /dev/fuse, so no mounts here'

t.setTimeout(TEST_MS_MAX)

t.test('stories over real mounts', { skip }, async t => {
  const fleet = await MountFleet.start(t, ['laptop', 'phone', 'desk'])
  for (const name of TOLD) {
    await t.test(name, async t => {
      const story = STORIES.find(each => each.name === name)
      t.ok(story, 'it is one of the stories')
      if (story) await fleet.tell(story.devices, story.tell)
    })
  }
  await t.test('a story that is not true is noticed', async t => {
    await fleet.tell(['laptop', 'phone'], async ({ as, everyoneSees, everyoneAgrees }) => {
      await as('laptop').write('/f', '1')
      await everyoneSees('/f', '1')
      await t.rejects(as('phone').read('/g'), /ENOENT/)
      await as('phone').chmod('/f', 0o600)
      await everyoneAgrees()
      t.equal(await as('laptop').mode('/f'), 0o600)
      t.throws(() => as('desk'), /nobody in this story/)
    })
  })
})
