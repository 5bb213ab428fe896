/** What errors of the store mean: codes alone decide, wherever in the chain of causes. */
import t from 'tap'
import { causeCodes, toSyncError } from '../../src/replication/storage-error.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

const coded = (code: string, cause?: unknown): Error =>
  Object.assign(new Error('x', { cause }), { code })

t.test('toSyncError() names the error', async t => {
  for (const [error, code] of [
    [coded('ENOSPC'), 'NO_SPACE'],
    [coded('EDQUOT'), 'NO_SPACE'],
    [new Error('Batch was not applied', { cause: coded('ENOSPC') }), 'NO_SPACE'],
    [coded('SESSION_CLOSED'), 'CLOSED'],
    [coded('INVALID_OPERATION'), 'DAMAGED'],
    [coded('EIO'), 'IO'],
    [coded('EACCES'), 'IO'],
    [new Error('No space left on device'), 'IO'],
    ['a string', 'IO']
  ] as const) {
    const named = toSyncError(error, 'a test')
    t.equal(named.code, code)
    t.equal(named.cause, error)
  }
  t.equal(toSyncError(coded('EIO'), 'a read', 'DAMAGED').code, 'DAMAGED')
})

t.test('toSyncError() keeps what has a name', async t => {
  const known = new SyncError('MISSING', 'x')
  t.equal(toSyncError(known, 'a test'), known)
})

t.test('causeCodes() stops at some depth', async t => {
  const loop = coded('A')
  loop.cause = loop
  t.ok(causeCodes(loop).length < 10)
})
