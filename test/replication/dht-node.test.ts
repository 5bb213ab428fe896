/** The options with which nodes and swarms are opened. */
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import {
  LISTEN_PORT_MAX,
  LISTEN_PORT_MIN,
  openDht,
  openSwarm,
  type DhtOptions,
  type Swarm
} from '../../src/replication/dht-node.ts'
import { freePort } from '../support/loopback-fabric.ts'

const topic = Buffer.alloc(32, 5)

/** Resolves once a swarm has a connection over which something came. */
const heard = (swarm: Swarm): Promise<string> =>
  new Promise(resolve =>
    swarm.on('connection', stream => {
      stream.on('error', () => undefined)
      stream.on('data', data => resolve(Buffer.from(data).toString()))
      stream.write(Buffer.from('hello'))
    })
  )

/** Two swarms with these options find each other, and both hear from the other. */
async function meet(options: DhtOptions): Promise<readonly string[]> {
  const swarms = [await openSwarm(options), await openSwarm(options)]
  try {
    const answers = swarms.map(heard)
    for (const swarm of swarms) await swarm.join(topic).flushed()
    return await Promise.all(answers)
  } finally {
    await Promise.all(swarms.map(swarm => swarm.destroy()))
  }
}

const addresses = Object.values(networkInterfaces())
  .flatMap(each => each ?? [])
  .filter(({ family }) => family === 'IPv4')
  .map(({ address }) => address)

for (const host of addresses) {
  for (const listenHost of [undefined, host]) {
    const where = `through ${host}, listening at ${listenHost ?? 'all addresses'}`
    t.test(`two swarms of this machine meet ${where}`, async t => {
      const node = await BootstrapNode.open({ host, port: await freePort() })
      const bootstrap = [node.address]
      t.same(await meet({ bootstrap, ...(listenHost && { listenHost }) }), ['hello', 'hello'])
      await node.close()
    })
  }
}

t.test('a bootstrap node may be given by name', async t => {
  const node = await BootstrapNode.open({ host: '127.0.0.1', port: await freePort() })
  const bootstrap = [{ host: 'localhost', port: node.address.port }]
  t.same(await meet({ bootstrap }), ['hello', 'hello'])
  await node.close()
})

t.test('openDht() listens at a port of its range, or at the one given', async t => {
  const port = await freePort()
  const bootstrap = [{ host: '127.0.0.1', port: 1 }]
  const given = await openDht({ bootstrap, listenHost: '127.0.0.1', port })
  const chosen = await openDht({ bootstrap, listenHost: '127.0.0.1' })
  const listening = chosen.localAddress()?.port ?? 0
  t.equal(given.localAddress()?.port, port)
  t.ok(listening >= LISTEN_PORT_MIN && listening <= LISTEN_PORT_MAX)
  await Promise.all([given.destroy(), chosen.destroy()])
})

t.test('openDht() fails at an address of somebody else', async t => {
  await t.rejects(openDht({ bootstrap: [], listenHost: '198.51.100.1' }))
})

t.test('a refusal is forgotten, and everyone may knock unless told otherwise', async t => {
  const node = await BootstrapNode.open({ host: '127.0.0.1', port: await freePort() })
  const options = { bootstrap: [node.address], listenHost: '127.0.0.1' }
  const knocks: string[] = []
  let onKnock = (): void => undefined
  const host = await openSwarm({
    ...options,
    admits: publicKey => {
      knocks.push(Buffer.from(publicKey).toString('hex'))
      onKnock()
      return Promise.resolve(knocks.length > 1)
    }
  })
  await host.listen()
  const { keyPair } = host
  const first = await openSwarm(options)
  const refused = new Promise<void>(resolve => (onKnock = resolve))
  first.joinPeer(Buffer.from(keyPair.publicKey))
  await refused
  await first.destroy()
  const again = await openSwarm({ ...options, keyPair: first.keyPair })
  const greetings = [heard(again), heard(host)]
  again.joinPeer(Buffer.from(keyPair.publicKey))
  t.same(await Promise.all(greetings), ['hello', 'hello'])
  const key = Buffer.from(first.keyPair.publicKey).toString('hex')
  t.same(knocks, [key, key])
  await Promise.all([host.destroy(), again.destroy()])
  await node.close()
})

t.test('what may not be approached is not, and leaves nothing behind', async t => {
  const node = await BootstrapNode.open({ host: '127.0.0.1', port: await freePort() })
  const options = { bootstrap: [node.address], listenHost: '127.0.0.1' }
  const asked: string[] = []
  const shy = await openSwarm({
    ...options,
    mayApproach: publicKey => {
      asked.push(Buffer.from(publicKey).toString('hex'))
      return false
    }
  })
  const other = await openSwarm(options)
  await other.listen()
  shy.joinPeer(Buffer.from(other.keyPair.publicKey))
  shy.leavePeer(Buffer.from(other.keyPair.publicKey))
  t.same([...new Set(asked)], [Buffer.from(other.keyPair.publicKey).toString('hex')])
  t.equal(shy.peers.size, 0)
  t.equal(shy.connecting, 0)
  await Promise.all([shy.destroy(), other.destroy()])
  await node.close()
})
