/**
 * Permission bits as they bind a user who is not root. Need root to become that user, and a
 * mount that lets other users in.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  mkdirSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { failsWith, type PosixCase, type PosixContext } from './posix-case.ts'

/** Runs the rest of a script as a user who owns nothing; says so if it is not let in. */
const AS_NOBODY = `
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
inside = errno_of(os.listdir, '.')
`

async function asNobody(c: PosixContext, code: string): Promise<unknown> {
  c.needsRoot('becomes another user')
  const answer = (await c.python(`${AS_NOBODY}
if inside == 'ok':
${code.trim().replaceAll(/^/gm, '    ')}
result = [inside, result]
`)) as [string, unknown]
  if (answer[0] !== 'ok') c.skip(`other users are not let in here (${answer[0]})`)
  return answer[1]
}

/** See the module. */
export const permissionCases: readonly PosixCase[] = [
  {
    name: 'another user reads, writes and enters only what the bits allow',
    async run(c) {
      c.needsRoot('becomes another user')
      for (const [name, mode] of [
        ['secret', 0o600],
        ['readable', 0o644],
        ['writable', 0o666]
      ] as const) {
        writeFileSync(c.path(name), name)
        chmodSync(c.path(name), mode)
      }
      mkdirSync(c.path('closed'), 0o700)
      writeFileSync(c.path('closed', 'f'), '')
      mkdirSync(c.path('passage'))
      writeFileSync(c.path('passage', 'f'), '')
      chmodSync(c.path('passage'), 0o711)
      const result = await asNobody(
        c,
        `
result = [errno_of(open, 'secret'), errno_of(open, 'readable'), errno_of(open, 'readable', 'w'),
    errno_of(open, 'writable', 'r+'), errno_of(os.stat, 'closed/f'), errno_of(os.listdir, 'passage'),
    errno_of(os.stat, 'passage/f'), errno_of(os.mkdir, 'new'), errno_of(os.unlink, 'writable'),
    errno_of(os.rename, 'writable', 'x'), errno_of(os.chmod, 'writable', 0o600),
    errno_of(os.truncate, 'readable', 0), errno_of(os.chown, 'writable', 65534, 65534)]
`
      )
      assert.deepEqual(result, [
        ...['EACCES', 'ok', 'EACCES', 'ok', 'EACCES', 'EACCES', 'ok', 'EACCES', 'EACCES'],
        ...['EACCES', 'EPERM', 'EACCES', 'EPERM']
      ])
    }
  },
  {
    name: 'in a sticky directory a user removes only what is theirs',
    async run(c) {
      c.needsRoot('becomes another user')
      mkdirSync(c.path('d'))
      chmodSync(c.path('d'), 0o1777)
      writeFileSync(c.path('d', 'ours'), '')
      chmodSync(c.path('d', 'ours'), 0o666)
      const result = await asNobody(
        c,
        `
open('d/theirs', 'w').close()
result = [errno_of(os.unlink, 'd/ours'), errno_of(os.rename, 'd/ours', 'd/x'),
    errno_of(os.rename, 'd/theirs', 'd/ours'), errno_of(os.unlink, 'd/theirs')]
`
      )
      assert.deepEqual(result, ['EPERM', 'EPERM', 'EPERM', 'ok'])
    }
  },
  {
    name: 'what another user makes is theirs',
    async run(c) {
      c.needsRoot('becomes another user')
      chmodSync(c.directory, 0o777)
      const result = await asNobody(
        c,
        `
open('f', 'w').close(); os.mkdir('d'); os.symlink('t', 'l'); os.mkfifo('p')
result = [[os.lstat(name).st_uid, os.lstat(name).st_gid] for name in 'fdlp']
`
      )
      assert.deepEqual(
        result,
        Array.from({ length: 4 }, () => [65_534, 65_534])
      )
    }
  },
  {
    name: 'a write by another user clears set-user-ID and set-group-ID',
    async run(c) {
      c.needsRoot('becomes another user')
      for (const name of ['written', 'cut']) {
        writeFileSync(c.path(name), 'content')
        chmodSync(c.path(name), 0o6777)
      }
      await asNobody(
        c,
        `
fd = os.open('written', os.O_WRONLY)
os.write(fd, b'x')
os.close(fd)
os.truncate('cut', 3)
`
      )
      assert.equal(statSync(c.path('written')).mode & 0o7777, 0o777)
      assert.equal(statSync(c.path('cut')).mode & 0o7777, 0o777)
    }
  },
  {
    name: 'chmod() by an owner outside the group drops set-group-ID',
    async run(c) {
      c.needsRoot('becomes another user')
      writeFileSync(c.path('f'), '')
      chownSync(c.path('f'), 65_534, 1234)
      const result = await asNobody(
        c,
        `
os.chmod('f', 0o2755)
result = oct(os.stat('f').st_mode & 0o7777)
`
      )
      assert.equal(result, '0o755')
    }
  },
  {
    name: 'access() of a file without execute bits: EACCES, also for root',
    run(c) {
      writeFileSync(c.path('f'), '', { mode: 0o644 })
      accessSync(c.path('f'), constants.R_OK | constants.W_OK)
      failsWith('EACCES', () => accessSync(c.path('f'), constants.X_OK))
      chmodSync(c.path('f'), 0o100)
      accessSync(c.path('f'), constants.X_OK)
    }
  }
]
