/**
 * Goal: a full disk is ENOSPC to the writer; nothing is corrupt, reads go on, and writing
 * resumes when space returns.
 * Method: a process in a mount namespace of its own fills a small tmpfs, first with content,
 * then to the last byte.
 */
import t from 'tap'
import { withDirectory } from '../support/hypercore-home.ts'
import { runChild } from '../support/run-child.ts'

const child = new URL('full-disk-child.ts', import.meta.url)
const namespace =
  process.getuid?.() === 0 ? ['unshare', '-m'] : ['unshare', '--map-root-user', '-m']

t.test('a full disk refuses writers, keeps every entry and takes new ones later', async t =>
  withDirectory(async root => {
    const { stdout, stderr, code } = await runChild(child, [root], namespace).ended
    t.equal(code, 0, stderr)
    const seen = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown)
    t.same(seen, [
      { 'content refused': 'NO_SPACE' },
      { 'operation on the reserve': 'no error' },
      { 'sync on the reserve': 'no error' },
      { 'operation refused': 'NO_SPACE' },
      { 'refused again': 'NO_SPACE' },
      { 'lengths kept': true },
      { 'wrong while full': [0, 0] },
      { 'after space returned': 'no error' },
      { 'one longer': true },
      { sync: 'no error' },
      { 'wrong after': [0, 0] },
      { 'lengths after': [0, 0] },
      { 'wrong after opening': [0, 0] },
      { 'lengths after': [0, 1] },
      { 'wrong after opening': [0, 0] },
      { 'lengths after': [0, 1] },
      { 'wrong after opening': [0, 0] },
      { 'opening on a full disk': 'NO_SPACE' },
      { 'lengths at last': [0, 2] }
    ])
  })
)
