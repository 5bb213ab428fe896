/**
 * fusermount3 is found, run, understood and given up when it does not end. Shell scripts stand
 * in for it; the real one mounts in linux/kernel-mount.test.ts.
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  endOf,
  findFusermount,
  runFusermount,
  startFusermount
} from '../../../src/fs/fuse/fusermount.ts'

/** A directory with a fusermount3 that does what a shell script says. */
function standIn(t: Test, script: string): string {
  const directory = t.testdir({ fusermount3: `#!/bin/sh\n${script}\n`, empty: {} })
  chmodSync(join(directory, 'fusermount3'), 0o755)
  return directory
}

t.test('findFusermount() takes the first of PATH, and only absolute places', async t => {
  const directory = standIn(t, 'exit 0')
  const program = join(directory, 'fusermount3')
  t.equal(await findFusermount(`.:${join(directory, 'empty')}:${directory}`), program)
  t.not(await findFusermount(`.:${join(directory, 'empty')}`), program)
})

t.test('runFusermount() says what it said', async t => {
  const program = join(
    standIn(t, 'echo "$1: no such mount" >&2; echo more >&2; exit 1'),
    'fusermount3'
  )
  t.strictSame(await runFusermount(program, ['-u']), {
    succeeded: false,
    message: '-u: no such mount'
  })
  const silent = join(standIn(t, 'exit 3'), 'fusermount3')
  t.match(await runFusermount(silent, []), { succeeded: false, message: /ended with code 3/ })
  t.match(await runFusermount('/no/such/program', []), { succeeded: false, message: /ENOENT/ })
})

t.test('it runs in the root directory, with the socket as descriptor 3', async t => {
  const program = join(standIn(t, 'test "$(pwd)" = / && echo "$_FUSE_COMMFD" >&3'), 'fusermount3')
  const child = startFusermount(program, [], 1)
  t.strictSame((await endOf(child)).succeeded, true)
})

t.test('endOf() kills what does not end', async t => {
  const program = join(standIn(t, 'exec sleep 60'), 'fusermount3')
  const result = await endOf(startFusermount(program, []), 50)
  t.equal(result.succeeded, false)
})
