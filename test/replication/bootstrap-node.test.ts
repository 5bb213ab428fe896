/** The node from which devices of a private network start. */
import t from 'tap'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import { openDht } from '../../src/replication/dht-node.ts'
import { ReplicationError } from '../../src/replication/replication-error.ts'
import { freePort } from '../support/loopback-fabric.ts'

const refused = async (address: { host: string; port: number }): Promise<unknown> => {
  try {
    await (await BootstrapNode.open(address)).close()
    return 'opened'
  } catch (error) {
    return error instanceof ReplicationError ? error.code : error
  }
}

t.test('open() listens where it is told, until close()', async t => {
  const address = { host: '127.0.0.1', port: await freePort() }
  const node = await BootstrapNode.open(address)
  t.same(node.address, address)
  t.equal(await refused(address), 'IO', 'the port is taken')
  const dht = await openDht({ bootstrap: [address], listenHost: '127.0.0.1' })
  await dht.fullyBootstrapped()
  t.ok(dht.online)
  await dht.destroy()
  await Promise.all([node.close(), node.close()])
  await node.close()
  await (await BootstrapNode.open(address)).close()
})

t.test('open() fails at an address of somebody else', async t => {
  t.equal(await refused({ host: '198.51.100.1', port: await freePort() }), 'IO')
})
