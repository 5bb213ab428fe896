/** The channel of who only asks. */
import t from 'tap'
import { decodeAnswer, encodeRequest } from '../../src/replication/custody-message.ts'
import { openCustodyChannel } from '../../src/replication/custody-channel.ts'
import { CustodyStage } from '../support/custody-stage.ts'
import { until } from '../support/until.ts'

t.test('it answers nothing itself', async t => {
  const made = await CustodyStage.open()
  t.teardown(() => made.close())
  const [ours, theirs] = [made.fabric.network(), made.fabric.network()]
  t.teardown(() => Promise.all([ours.close(), theirs.close()]))
  const channels: ReturnType<typeof openCustodyChannel>[] = []
  let closed = 0
  for (const network of [ours, theirs]) {
    network.onConnection = connection =>
      channels.push(openCustodyChannel({ connection, hasMux: false, onClose: () => closed++ }))
    network.join(new Uint8Array(32).fill(9))
  }
  await until('both', () => channels.length === 2)
  const answer = await channels[0]?.ask('usage', encodeRequest('usage', {}))
  t.match(decodeAnswer('usage', answer ?? new Uint8Array(0)), { refusal: 'REFUSED' })
  const [connection] = ours.connections
  if (connection === undefined) throw new Error('no connection')
  const again = { connection, hasMux: true, onClose: () => undefined }
  t.throws(() => openCustodyChannel(again), { code: 'CLOSED' }, 'one of a connection')
  await connection.close()
  await until('both know', () => closed === 2)
})
