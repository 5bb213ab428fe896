/** What a keeper admits to when something fails. */
import t from 'tap'
import { CryptoError } from '../../src/crypto/crypto-error.ts'
import { decodeAnswer, encodeRequest } from '../../src/replication/custody-message.ts'
import { answerMember, type KeeperCaller } from '../../src/replication/keeper-methods.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { SyncError } from '../../src/sync/sync-error.ts'
import { filled } from '../support/bytes.ts'

function failing(error: Error): KeeperCaller {
  const fails = (): Promise<never> => Promise.reject(error)
  return {
    person: { learn: fails },
    onLocator: () => undefined
  } as unknown as KeeperCaller
}

t.test('a failure is one of the refusals, and the owner hears what the asker does not', async t => {
  const request = encodeRequest('logs', { announcements: [] })
  const cases: [Error, string, boolean][] = [
    [new ReplicationError('FULL', 'no room'), 'FULL', false],
    [new ReplicationError('KEEP_LOCKED', 'a lock stands'), 'KEEP_LOCKED', false],
    [new ReplicationError('DAMAGED', 'secret path'), 'UNAVAILABLE', true],
    [new CryptoError('FORGED', 'forged'), 'REFUSED', false],
    [new SyncError('NO_SPACE', 'secret path'), 'FULL', true],
    [new SyncError('UNREACHABLE', 'nobody'), 'UNAVAILABLE', false],
    [new SyncError('IO', 'secret path'), 'UNAVAILABLE', true],
    [new TypeError('secret mistake'), 'UNAVAILABLE', true]
  ]
  for (const [error, refusal, isReported] of cases) {
    const { bytes, failure } = await answerMember(failing(error), 'logs', request)
    t.match(decodeAnswer('logs', bytes), { refusal })
    t.notOk(Buffer.from(bytes).includes('secret'), 'nothing of this computer')
    t.equal(failure !== undefined, isReported, refusal)
  }
})

t.test('what is no request is thrown', async t => {
  t.throws(() => answerMember(failing(new Error('unused')), 'logs', filled(3, 9)), CryptoError)
})
