/** Holders that a recovery waits for are asked when they come, again when that fails. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DaemonLog } from '../../bin/daemon-log.ts'
import { Home } from '../../bin/home.ts'
import { LATE_RETRY_MS, PendingRecovery, RECOVERY_LOOK_MS } from '../../bin/pending-recovery.ts'
import { acceptRecovery, readRecoveryState, writeRecoveryState } from '../../bin/recovery-state.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { filled, toHex } from '../support/bytes.ts'
import { until } from '../support/until.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { temporaryFolder } from './temporary-folder.ts'

const [ANNA, BERT] = [filled(32, 1), filled(32, 2)]

async function open(t: Test, pending: readonly Uint8Array[] | undefined) {
  const home = await Home.locate({ GROVE_HOME: join(await temporaryFolder(t), 'home') })
  await mkdir(home.directory)
  if (pending !== undefined)
    await writeRecoveryState(home, { pending: pending.map(toHex), isAccepted: false })
  const clock = new VirtualClock()
  const log = new DaemonLog(home.logFile)
  const recovery = await PendingRecovery.open({ home, clock, log })
  t.teardown(async () => {
    await recovery.close()
    log.close()
  })
  return { home, clock, recovery }
}

t.test('a drive that was not recovered waits for nobody', async t => {
  const { clock, recovery } = await open(t, undefined)
  t.notOk(recovery.isIncomplete)
  t.equal(clock.pendingTimers, 0)
  recovery.holderConnected(ANNA, async () => void t.fail('not asked'))
})

t.test('each is asked once, and then all is known', async t => {
  const { home, recovery } = await open(t, [ANNA, BERT])
  t.equal(recovery.count, 2)
  const asked: string[] = []
  for (const name of ['anna', 'anna again'])
    recovery.holderConnected(ANNA, async () => void asked.push(name))
  await until('anna answered', () => recovery.count === 1)
  recovery.holderConnected(ANNA, async () => void asked.push('anna, later'))
  recovery.holderConnected(filled(32, 9), async () => void asked.push('a stranger'))
  t.same(asked, ['anna'])
  t.ok(recovery.isIncomplete)
  recovery.holderConnected(BERT, async () => void asked.push('bert'))
  await until('bert answered', () => !recovery.isIncomplete)
  t.same((await readRecoveryState(home))?.pending, [])
})

t.test('one that fails is asked again, unless its connection is gone', async t => {
  const { clock, recovery } = await open(t, [ANNA, BERT])
  let asked = 0
  recovery.holderConnected(ANNA, async () => {
    if (++asked === 1) throw new ReplicationError('BAD_ANSWER', 'a lie')
  })
  let gone = 0
  recovery.holderConnected(BERT, async () => {
    gone++
    throw new ReplicationError('CLOSED', 'gone')
  })
  await until('it failed', () => clock.pendingTimers === 2)
  t.equal(recovery.count, 2)
  clock.advance(LATE_RETRY_MS)
  await until('anna answered', () => recovery.count === 1)
  t.same([asked, gone], [2, 1])
  recovery.holderConnected(BERT, async () => undefined)
  await until('bert answered', () => !recovery.isIncomplete)
})

t.test('the person may go on without them, in another process', async t => {
  const { home, clock, recovery } = await open(t, [ANNA])
  clock.advance(RECOVERY_LOOK_MS)
  await until('it looks again', () => clock.pendingTimers === 1)
  t.ok(recovery.isIncomplete)
  await acceptRecovery(home)
  clock.advance(RECOVERY_LOOK_MS)
  await until('it has seen it', () => !recovery.isIncomplete)
})

t.test('close() gives up what is under way', async t => {
  const { clock, recovery } = await open(t, [ANNA])
  recovery.holderConnected(
    ANNA,
    signal =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error())))
  )
  await recovery.close()
  await recovery.close()
  t.ok(recovery.isIncomplete)
  t.equal(clock.pendingTimers, 0)
})
