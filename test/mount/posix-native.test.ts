/**
 * The POSIX suite on a native folder: what fails here is wrong in the suite, not in a driver.
 * What the native file system cannot do is excluded with the reason.
 */
import { chmod, mkdtemp, readdir, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { posixSuite, runPosixSuite, type PosixExclusion } from '../suites/posix-suite.ts'

const DEADLINE_MS = 60_000

/** Depends on the file system that the machine has for temporary files. */
const EXCLUSIONS: Readonly<Record<string, PosixExclusion>> = {
  'a value of 64 KiB is kept, one byte more is E2BIG': {
    reason: 'ext4 keeps all attributes of a file in one block, tmpfs in a fixed sum',
    run: false
  },
  'names of 64 KiB in all are listed, one more is ENOSPC': {
    reason: 'ext4 keeps all attributes of a file in one block, tmpfs in a fixed sum',
    run: false
  }
}

/** What tmpfs has not; on ext4 these cases must pass. */
const TMPFS_EXCLUSIONS: Readonly<Record<string, PosixExclusion>> = {
  'fallocate(1) zeroes a range, also beyond the end': {
    reason: 'tmpfs has no FALLOC_FL_ZERO_RANGE',
    run: true
  }
}
/** The type that statfs(2) gives for tmpfs. */
const TMPFS_MAGIC = 0x01021994

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'grove-posix-'))
  // Other users must get in, as on a mount that lets them.
  await chmod(directory, 0o755)
  return directory
}

t.test('every case passes on a native folder and leaves nothing', async t => {
  const directory = await temporaryDirectory()
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const isTmpfs = (await statfs(directory)).type === TMPFS_MAGIC
  const exclusions = { ...EXCLUSIONS, ...(isTmpfs ? TMPFS_EXCLUSIONS : {}) }
  await posixSuite(t, { directory, exclusions, deadlineMs: DEADLINE_MS })
  t.same(await readdir(directory), [])
})

t.test('a case that passes though it is excluded is found, and one that is not there', async t => {
  const directory = await temporaryDirectory()
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const name = 'writev() and readv() keep their order'
  const options = { directory, deadlineMs: DEADLINE_MS, only: [name] }
  const stale = { [name]: { reason: 'a reason that is not true', run: true } }
  t.match(await runPosixSuite({ ...options, exclusions: stale }), [{ name, outcome: 'stale' }])
  const unknown = { 'no such case': { reason: 'none', run: false } }
  await t.rejects(runPosixSuite({ ...options, exclusions: unknown }), { message: /no such case/ })
})

t.test('a case fails where the directory is not as it should be', async t => {
  const directory = await temporaryDirectory()
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  await rm(directory, { recursive: true })
  const [name, excluded] = ['writev() and readv() keep their order', 'a file has a hundred names']
  const results = await runPosixSuite({
    directory,
    exclusions: { [excluded]: { reason: 'fails', run: true } },
    deadlineMs: DEADLINE_MS,
    only: [name, excluded]
  })
  t.match(results, [
    { name, outcome: 'failed', message: /ENOENT/ },
    { name: excluded, outcome: 'excluded', message: 'fails' }
  ])
})

t.test('a suite that does not begin in time says so', async t => {
  const run = runPosixSuite({ directory: tmpdir(), exclusions: {}, deadlineMs: 1 })
  await t.rejects(run, { message: /did not begin within 1 ms/ })
})
