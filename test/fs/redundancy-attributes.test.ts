/** Which attributes of ours may be set, on what and to what; and how the others read. */
import t from 'tap'
import { FsError, type FsErrorCode } from '../../src/fs/fs-error.ts'
import {
  answerOf,
  checkSetting,
  hasRedundancy,
  isAnswer,
  XATTR_COPIES,
  XATTR_HEALTH,
  XATTR_HOLDERS
} from '../../src/fs/redundancy-attributes.ts'
import { INODE_KINDS, type InodeKind } from '../../src/sync/inode-record.ts'
import type { Name } from '../../src/sync/operation.ts'
import { bytesOf, textOf } from '../support/vfs-session.ts'

function outcome(kind: InodeKind, name: string, value: string): FsErrorCode | 'set' {
  try {
    checkSetting(kind, { name: name as Name, value: bytesOf(value) })
    return 'set'
  } catch (error) {
    if (error instanceof FsError) return error.code
    throw error
  }
}

t.test('settings are taken on files and directories, by their canonical text', async t => {
  for (const kind of INODE_KINDS) {
    const expected = hasRedundancy(kind) ? 'set' : 'EPERM'
    t.equal(outcome(kind, 'user.grove.redundancy', '3/2'), expected, kind)
  }
  t.strictSame(INODE_KINDS.filter(hasRedundancy), ['file', 'directory'])
  t.equal(outcome('file', 'user.grove.sites', '64'), 'set')
  t.equal(outcome('file', 'user.grove.durability', 'level'), 'set')
  t.equal(outcome('symlink', 'user.other', 'x'), 'set', 'not ours to say')
})

t.test('what means nothing is EINVAL, what is only read EPERM', async t => {
  const refused = [
    ...['', '0', '65', '2/3', '3\n', '3\0', '-1', '3/2/1', '٣'].map(text => ['redundancy', text]),
    ...['0', '65', 'x'].map(text => ['sites', text]),
    ...['', 'LOCAL', 'local\n'].map(text => ['durability', text]),
    ['unknown', '3']
  ]
  for (const [name = '', value = ''] of refused) {
    t.equal(outcome('file', `user.grove.${name}`, value), 'EINVAL', JSON.stringify([name, value]))
  }
  for (const name of ['copies', 'health', 'holders', 'conflict'])
    t.equal(outcome('file', `user.grove.${name}`, '3'), 'EPERM', name)
})

t.test('answers are text without a newline', async t => {
  const status = {
    copies: 12,
    health: 'repairing',
    lostBytes: 0,
    holders: ['attic', 'Zoë']
  } as const
  t.equal(textOf(answerOf(XATTR_COPIES, status)), '12')
  t.equal(textOf(answerOf(XATTR_HEALTH, status)), 'repairing')
  t.equal(textOf(answerOf(XATTR_HOLDERS, status)), 'attic, Zoë')
  const lost = { copies: 0, health: 'lost', lostBytes: 5000, holders: [] } as const
  t.equal(textOf(answerOf(XATTR_HEALTH, lost)), 'lost 5000 bytes')
  t.equal(textOf(answerOf(XATTR_HOLDERS, lost)), '')
  const names = ['user.grove.copies', 'user.grove.redundancy', 'user.grove.toString', 'copies']
  t.strictSame(
    names.map(name => isAnswer(name as Name)),
    [true, false, false, false]
  )
})
