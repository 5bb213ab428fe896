/**
 * What is agreed with kernels of several ages.
 */
import t from 'tap'
import { BACKGROUND_MAX, negotiate } from '../../../../src/fs/fuse/linux/fuse-negotiation.ts'

const ALL = 0xffff_ffff
const AUTO_INVAL_DATA = 1 << 12
const POSIX_LOCKS = 1 << 1
const FLOCK_LOCKS = 1 << 10
const DONT_MASK = 1 << 6
const WRITEBACK_CACHE = 1 << 16
const NO_OPEN_SUPPORT = 1 << 17
const HANDLE_KILLPRIV_V2 = 1 << 28
const EXPLICIT_INVAL_DATA = 1 << 25

const kernel = { major: 7, minor: 45, maxReadaheadBytes: 131_072, flags: ALL, flags2: ALL }

t.test('negotiate() takes what we decided on and nothing else', async t => {
  const agreed = negotiate(kernel)
  if (typeof agreed === 'string') throw new Error(agreed)
  const has = (flag: number): boolean => (agreed.flags & flag) !== 0
  t.notOk(has(WRITEBACK_CACHE), 'no writeback cache')
  t.notOk(has(AUTO_INVAL_DATA), 'the kernel does not guess')
  t.ok(has(EXPLICIT_INVAL_DATA))
  t.notOk(has(POSIX_LOCKS) || has(FLOCK_LOCKS), 'locks stay local')
  t.notOk(has(DONT_MASK), 'the kernel applies the umask')
  t.notOk(has(NO_OPEN_SUPPORT))
  t.ok(has(HANDLE_KILLPRIV_V2))
  t.equal(agreed.flags2, 8, 'HAS_EXPIRE_ONLY')
  t.equal(agreed.maxBackground, BACKGROUND_MAX)
  t.ok(BACKGROUND_MAX >= 1000, 'reads that wait do not hold up others')
  t.equal(agreed.minor, 45)
})

t.test('negotiate() takes only what is offered', async t => {
  const agreed = negotiate({ ...kernel, minor: 31, flags: 1, flags2: ALL })
  t.match(agreed, { minor: 31, flags: 1, flags2: 0 })
  t.match(negotiate({ ...kernel, minor: 99 }), { minor: 45 }, 'a newer kernel speaks as we do')
})

t.test('negotiate() says when it cannot be', async t => {
  t.equal(negotiate({ ...kernel, major: 8 }), 'retry')
  t.equal(negotiate({ ...kernel, minor: 27 }), 'too old')
  t.equal(negotiate({ ...kernel, major: 6, minor: 45 }), 'too old')
})
