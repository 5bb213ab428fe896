/**
 * The stack without Grove: one hypercore sent from one process to another through hyperswarm,
 * found by the same kind of private node.
 *
 * Usage: node bare-stack.mjs send DIRECTORY PORT BLOCKS BYTES | receive DIRECTORY PORT KEY
 *
 * The sender prints the core's key when it listens and ends when its standard input does. The
 * receiver prints how many seconds passed from the connection to the last block.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import Corestore from 'corestore'
import HyperDHT from 'hyperdht'
import Hyperswarm from 'hyperswarm'

const [role, directory = '', port = '', ...rest] = process.argv.slice(2)
const store = new Corestore(directory)
const dht = new HyperDHT({
  bootstrap: [{ host: '127.0.0.1', port: Number(port) }],
  host: '127.0.0.1',
  firewalled: false
})
const swarm = new Hyperswarm({ dht })

async function send(blocks, bytes) {
  const core = store.get({ name: 'bare' })
  await core.ready()
  for (let at = 0; at < blocks; at += 16)
    await core.append(Array.from({ length: 16 }, () => randomBytes(bytes)))
  swarm.on('connection', stream => store.replicate(stream))
  await swarm.join(core.discoveryKey, { server: true, client: false }).flushed()
  process.stdout.write(`${JSON.stringify({ key: core.key.toString('hex') })}\n`)
}

async function receive(key) {
  const core = store.get({ key: Buffer.from(key, 'hex') })
  await core.ready()
  const connected = new Promise(resolve =>
    swarm.on('connection', stream => {
      store.replicate(stream)
      resolve()
    })
  )
  swarm.join(core.discoveryKey, { server: false, client: true })
  await connected
  const from = performance.now()
  await core.update({ wait: true })
  await core.download({ start: 0, end: core.length }).done()
  process.stdout.write(`${JSON.stringify((performance.now() - from) / 1000)}\n`)
  await swarm.destroy()
  await store.close()
}

if (role === 'send') await send(Number(rest[0]), Number(rest[1]))
else await receive(rest[0] ?? '')
if (role === 'send') {
  process.stdin.resume()
  process.stdin.once('end', () => process.exit(0))
}
