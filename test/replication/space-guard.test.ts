/** The reserve that content may not use up. */
import t from 'tap'
import {
  diskBytes,
  SpaceGuard,
  writeBufferBytes,
  WRITE_BUFFER_BYTES_MAX,
  WRITE_BUFFER_BYTES_MIN
} from '../../src/replication/space-guard.ts'
import { rejectsWith } from '../suites/log-suite.ts'
import { withDirectory } from '../support/hypercore-home.ts'

t.test('writeBufferBytes() is a part of the disk, within bounds', async t => {
  t.equal(writeBufferBytes(0), WRITE_BUFFER_BYTES_MIN)
  t.equal(writeBufferBytes(160 * 2 ** 20), 10 * 2 ** 20)
  t.equal(writeBufferBytes(2 ** 40), WRITE_BUFFER_BYTES_MAX)
})

t.test('admit() lets content through while there is more than the reserve', async t =>
  withDirectory(async directory => {
    const total = await diskBytes(directory)
    const [roomy, full] = [new SpaceGuard(directory, 0), new SpaceGuard(directory, total)]
    await roomy.admit(1)
    await roomy.admit(0)
    await rejectsWith(t, 'NO_SPACE', () => full.admit(1), 'a reserve as large as the disk')
    await rejectsWith(t, 'NO_SPACE', () => roomy.admit(total), 'content as large as the disk')
    await roomy.admit(1)
  })
)
