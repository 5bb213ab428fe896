/** Names that cannot be are refused with the errno that Linux gives. */
import t from 'tap'
import { checkName, checkXattrName, isDotName, XATTR_PREFIXES } from '../../src/fs/check-name.ts'
import type { FsError } from '../../src/fs/fs-error.ts'
import type { Name } from '../../src/sync/operation.ts'

/** @returns the errno, or 'fine' */
function outcome(check: (name: Name, operation: string) => void, name: string): string {
  try {
    check(name as Name, 'test')
    return 'fine'
  } catch (error) {
    return (error as FsError).code
  }
}

t.test('checkName(): 1 to 255 bytes, neither / nor NUL', async t => {
  const names: Readonly<Record<string, string>> = {
    a: 'fine',
    '...': 'fine',
    '\xff\xfe': 'fine',
    '\n': 'fine',
    '': 'ENOENT',
    'a/b': 'EINVAL',
    'a\0b': 'EINVAL',
    'a\u0100': 'EINVAL',
    ['x'.repeat(255)]: 'fine',
    ['x'.repeat(256)]: 'ENAMETOOLONG',
    ['/'.repeat(256)]: 'ENAMETOOLONG'
  }
  for (const [name, expected] of Object.entries(names)) {
    t.equal(outcome(checkName, name), expected, JSON.stringify(name.slice(0, 20)))
  }
})

t.test('isDotName(): . and .. only', async t => {
  for (const name of ['.', '..']) t.ok(isDotName(name as Name))
  for (const name of ['...', '.a', '', ' .']) t.notOk(isDotName(name as Name))
})

t.test('checkXattrName(): the name spaces that are kept, and a name in them', async t => {
  for (const prefix of XATTR_PREFIXES) {
    t.equal(outcome(checkXattrName, `${prefix}x`), 'fine')
    t.equal(outcome(checkXattrName, prefix), 'EINVAL', 'the prefix alone')
    t.equal(outcome(checkXattrName, prefix.slice(0, -1)), 'EOPNOTSUPP', 'without the dot')
    t.equal(outcome(checkXattrName, prefix.padEnd(255, 'x')), 'fine')
    t.equal(outcome(checkXattrName, prefix.padEnd(256, 'x')), 'ERANGE')
  }
  t.equal(outcome(checkXattrName, ''), 'ERANGE')
  for (const name of ['system.posix_acl_access', 'security.selinux', 'other.x', 'User.x']) {
    t.equal(outcome(checkXattrName, name), 'EOPNOTSUPP', name)
  }
  t.equal(outcome(checkXattrName, 'user.a\0b'), 'EINVAL', 'no operation can carry it')
})
