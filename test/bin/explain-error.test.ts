/** Every error becomes one line, with the code that scripts rely on. */
import t from 'tap'
import { explainAddition, explainError } from '../../bin/explain-error.ts'
import { GroveError } from '../../bin/grove-error.ts'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { FsError } from '../../src/fs/fs-error.ts'
import { MountError } from '../../src/fs/fuse/mount.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { SyncError } from '../../src/sync/sync-error.ts'

t.test('explainError() keeps its own errors and translates the rooms’', async t => {
  const own = new GroveError('BUSY', 'close the files')
  t.equal(explainError(own), own)
  for (const [error, code, message] of [
    [new CryptoError('WRONG_PASSPHRASE', 'x'), 'PASSPHRASE', /passphrase is wrong/],
    [new CryptoError('NEWER_FORMAT', 'x'), 'NEWER_FORMAT', /made by a newer grove/],
    [new CryptoError('MALFORMED', 'the key file is damaged'), 'DAMAGED', /key file is damaged/],
    [new SyncError('NEWER_FORMAT', 'x'), 'NEWER_FORMAT', /made by a newer grove/],
    [new SyncError('NO_SPACE', 'x'), 'NO_SPACE', /full/],
    [new SyncError('DAMAGED', 'entry 4'), 'DAMAGED', /entry 4.*grove verify/],
    [new ReplicationError('LOCKED', 'x'), 'LOCKED', /another process/],
    [new ReplicationError('NO_SPACE', 'x'), 'NO_SPACE', /full/],
    [new ReplicationError('USED', 'the code was used'), 'INVITATION', /the code was used/],
    [new ReplicationError('NEWER_FORMAT', 'newer code'), 'NEWER_FORMAT', /newer code/],
    [new ReplicationError('INTERRUPTED', 'x'), 'FAILED', /^interrupted$/],
    [
      new ReplicationError('FULL', 'its quota is used up'),
      'FAILED',
      /room: its quota.*holders add/
    ],
    [new ReplicationError('IMBALANCE', '9 GiB days more'), 'FAILED', /too much.*9 GiB.*grove host/],
    [
      new ReplicationError('UNAVAILABLE', 'the log is not known'),
      'FAILED',
      /log is not known.*again/
    ],
    [
      new ReplicationError('KEEP_LOCKED', 'another drops'),
      'FAILED',
      /needed.*another drops.*later/
    ],
    [new SyncError('UNREACHABLE', 'x'), 'UNREACHABLE', /no device/],
    [new FsError('EHOSTUNREACH', 'read'), 'UNREACHABLE', /no device/],
    [new FsError('ENOENT', 'read'), 'NOT_FOUND', /no such/],
    [new FsError('EIO', 'x', { cause: new SyncError('DAMAGED', 'entry 4') }), 'DAMAGED', /entry 4/],
    [new FsError('EROFS', 'write'), 'FAILED', /EROFS/],
    [new MountError('NO_HELPER', 'apt-get install fuse3'), 'MOUNT', /fuse3/],
    [new MountError('BUSY', 'in use'), 'BUSY', /in use/],
    [new MountError('NOT_A_DIRECTORY', 'no'), 'BAD_DIRECTORY', /no/],
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'NO_SPACE', /full/],
    [new Error('strange\nand long'), 'FAILED', /unexpected: strange$/],
    ['thrown text', 'FAILED', /thrown text/]
  ] as const) {
    const explained = explainError(error)
    t.equal(explained.code, code)
    t.match(explained.message, message)
    t.notMatch(explained.message, '\n')
    t.equal(explained.exitCode, 1)
  }
  t.equal(new GroveError('USAGE', 'x').exitCode, 2)
})

t.test('explainAddition() says why a holder could not be added', async t => {
  for (const [error, code, message] of [
    [new ReplicationError('NO_ANSWER', 'x'), 'INVITATION', /nobody answers to this code/],
    [new ReplicationError('CLOSED', 'x'), 'INVITATION', /nobody answers to this code/],
    [new ReplicationError('REFUSED', 'x'), 'INVITATION', /used or withdrawn/],
    [new ReplicationError('USED', 'x'), 'INVITATION', /used or withdrawn/],
    [new ReplicationError('BAD_ANSWER', 'x'), 'INVITATION', /update grove/],
    [new ReplicationError('EXPIRED', 'the code has expired'), 'INVITATION', /has expired/],
    [new ReplicationError('FULL', 'its disk is full'), 'FAILED', /its disk is full/],
    [new ReplicationError('INTERRUPTED', 'x'), 'FAILED', /^interrupted$/],
    [new GroveError('NOT_FOUND', 'no such holder'), 'NOT_FOUND', /no such holder/],
    [new Error('strange'), 'FAILED', /unexpected: strange/]
  ] as const) {
    const explained = explainAddition(error)
    t.equal(explained.code, code)
    t.match(explained.message, message)
    t.notMatch(explained.message, '\n')
  }
})
