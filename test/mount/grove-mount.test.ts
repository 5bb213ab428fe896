/**
 * The real thing: the built command, a real home, a real mount by the linux driver. The POSIX
 * suite, then the tools that people use, whose work is checked again after a clean restart,
 * after a `kill -9` and with the index made anew. In the end nothing readable is left on disk.
 */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import t from 'tap'
import { GroveHome, runProgram } from '../bin/grove-home.ts'
import { FUSE_NATIVE_EXCLUSIONS } from '../fs/fuse/fuse-native-exclusions.ts'
import { posixSuite, type PosixExclusion } from '../suites/posix-suite.ts'
import { ifFuseNative } from '../support/if-fuse-native.ts'
import { realToolsSuite } from './real-tools.ts'

const POSIX_DEADLINE_MS = 120_000

/** What this driver does not do, with the reason. README.md shows the same list. */
const EXCLUSIONS: Readonly<Record<string, PosixExclusion>> = {}

t.setTimeout(900_000)

const hasFuse = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(
  () => true,
  () => false
)
const options = hasFuse ? {} : { skip: '/dev/fuse is missing or may not be opened' }

t.test('the POSIX suite passes on a mounted drive', options, async t => {
  const home = await GroveHome.initialised(t)
  await home.mount('--allow-other')
  await posixSuite(t, {
    directory: home.mountPoint,
    exclusions: EXCLUSIONS,
    deadlineMs: POSIX_DEADLINE_MS
  })
  const { code, stdout } = await home.run(['verify'])
  t.equal(code, 0, stdout)
})

t.test(
  'the POSIX suite passes on a drive mounted by fuse-native but for what it cannot do',
  ifFuseNative(),
  async t => {
    const home = await GroveHome.initialised(t)
    await home.mount('--driver', 'fuse-native', '--allow-other')
    await posixSuite(t, {
      directory: home.mountPoint,
      exclusions: FUSE_NATIVE_EXCLUSIONS,
      deadlineMs: POSIX_DEADLINE_MS
    })
    t.equal((await home.run(['verify'])).code, 0)
  }
)

t.test('real tools work, and find their work after every kind of restart', options, async t => {
  const home = await GroveHome.initialised(t)
  let pid = await home.mount()
  const directory = home.mountPoint
  const manifest = await realToolsSuite(t, { directory, phase: 'fill' })

  await home.succeed(['stop'])
  pid = await home.mount()
  await realToolsSuite(t, { directory, phase: 'verify', manifest })

  await home.kill(pid)
  await home.mount()
  await realToolsSuite(t, { directory, phase: 'verify', manifest })

  await home.succeed(['stop'])
  await home.succeed(['rebuild-index'])
  await home.mount()
  await realToolsSuite(t, { directory, phase: 'verify', manifest, without: ['ino'] })
  t.equal((await home.run(['verify'])).code, 0)
  await home.succeed(['stop'])

  const name = Object.keys(manifest)
    .map(path => path.split('/').at(-1) ?? '')
    .toSorted((left, right) => right.length - left.length)[0]
  t.ok(name !== undefined && name.length > 12, `a name that occurs nowhere by chance: ${name}`)
  const found = await runProgram('grep', ['-rlaF', name ?? '', home.directory])
  t.same(found.stdout, '', 'no name is readable in the home')
})
