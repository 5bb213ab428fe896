/**
 * The table of mounts is read as proc(5) describes it.
 */
import t from 'tap'
import {
  isGroveMount,
  mountAt,
  parseMountTable,
  readMountTable
} from '../../../src/fs/fuse/mount-table.ts'

const TABLE = [
  '21 26 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw',
  '64 43 0:39 / /mnt/my\\040drive rw,nosuid - fuse.grove grove rw,user_id=0',
  '65 43 0:40 /sub /mnt/caf\xc3\xa9\\134x rw shared:1 master:2 - fuse grove rw',
  'not a line of the table',
  '66 43 0:41 / /mnt/other rw - fuse.sshfs host:/x rw',
  ''
].join('\n')

t.test('parseMountTable() reads optional fields, escapes and bytes', async t => {
  const entries = parseMountTable(Buffer.from(TABLE, 'latin1'))
  t.strictSame(entries.slice(0, 3), [
    { id: 21, device: '0:20', type: 'sysfs', directory: '/sys', source: 'sysfs' },
    { id: 64, device: '0:39', type: 'fuse.grove', directory: '/mnt/my drive', source: 'grove' },
    { id: 65, device: '0:40', type: 'fuse', directory: '/mnt/caf\u00e9\\x', source: 'grove' }
  ])
  t.strictSame(entries.map(isGroveMount), [false, true, true, false])
})

t.test('mountAt() finds the root of this machine and nothing that is not there', async t => {
  t.equal((await mountAt('/'))?.directory, '/')
  t.equal(await mountAt('/no-such-mount'), undefined)
  t.ok((await readMountTable()).length > 1)
})
