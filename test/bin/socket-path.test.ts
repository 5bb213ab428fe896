/** The socket lies in the home when its path fits, else in a private folder of short name. */
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { Home } from '../../bin/home.ts'
import { chooseSocketPath, SOCKET_PATH_BYTES_MAX } from '../../bin/socket-path.ts'
import { temporaryFolder } from './temporary-folder.ts'

t.test(
  'chooseSocketPath() takes the home, then the runtime folder, then a private one',
  async t => {
    const folder = await temporaryFolder(t)
    const near = await Home.locate({ GROVE_HOME: join(folder, 'home') })
    t.equal(await chooseSocketPath(near, {}), join(folder, 'home', 'daemon.sock'))

    const far = await Home.locate({ GROVE_HOME: join(folder, 'ü'.repeat(60)) })
    const runtime = join(folder, 'run')
    await mkdir(runtime)
    const inRuntime = await chooseSocketPath(far, { XDG_RUNTIME_DIR: runtime })
    t.equal(dirname(inRuntime), runtime)

    const longRuntime = join(folder, 'r'.repeat(100))
    for (const environment of [{}, { XDG_RUNTIME_DIR: longRuntime }]) {
      const fallback = await chooseSocketPath(far, environment)
      t.ok(Buffer.byteLength(fallback) <= SOCKET_PATH_BYTES_MAX, fallback)
      t.equal((await stat(dirname(fallback))).mode & 0o777, 0o700)
      // It belongs to all homes of this user, so it goes only if no other uses it.
      t.teardown(() => rmdir(dirname(fallback)).catch(() => undefined))
    }
    const other = await Home.locate({ GROVE_HOME: join(folder, 'ö'.repeat(60)) })
    t.not(await chooseSocketPath(far, {}), await chooseSocketPath(other, {}), 'one for each home')
  }
)
