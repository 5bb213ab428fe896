/**
 * A device, or a bootstrap node, in a process of its own; see `peer-device.ts`. Prints `ready`,
 * `+ SEED MS` and `- SEED MS` for connections that open and close, `# TEXT` for what it reports.
 * Ends when its standard input does.
 *
 * @module
 */
import { SystemClock } from '../../bin/system-clock.ts'
import { systemRandom } from '../../bin/system-random.ts'
import { signingKeyPair } from '../../src/crypto/sodium.ts'
import { BootstrapNode } from '../../src/replication/bootstrap-node.ts'
import type { NodeAddress } from '../../src/replication/dht-node.ts'
import { HyperswarmNetwork } from '../../src/replication/hyperswarm-network.ts'

/** How a device is started. */
export interface ChildDevice {
  /** Where it starts from, or where it listens when it is a bootstrap node itself. */
  readonly bootstrap: NodeAddress
  readonly isBootstrap?: boolean
  /** Names it: its keys follow from it. 0 to 31. */
  readonly seed: number
  /** Devices it wants, by seed. */
  readonly wanted?: readonly number[]
  /** A topic to join. */
  readonly topic?: number
  readonly listenHost?: string
}

const keysOf = (seed: number) => signingKeyPair(new Uint8Array(32).fill(seed))

const seedOf = (publicKey: Uint8Array): number | undefined =>
  Array.from({ length: 32 }, (_, seed) => seed).find(
    seed => Buffer.compare(keysOf(seed).publicKey, publicKey) === 0
  )

function startDevice(device: ChildDevice): HyperswarmNetwork {
  const { seed, bootstrap, listenHost, topic, wanted = [] } = device
  const network = new HyperswarmNetwork({
    keyPair: keysOf(seed),
    bootstrap: [bootstrap],
    ...(listenHost === undefined ? {} : { listenHost }),
    clock: new SystemClock(),
    random: systemRandom,
    report: message => console.log(`# ${message}`)
  })
  network.onConnection = connection => {
    const other = seedOf(connection.remotePublicKey)
    console.log(`+ ${other} ${Math.round(performance.now())}`)
    void connection.closed.then(() => console.log(`- ${other} ${Math.round(performance.now())}`))
  }
  if (topic !== undefined) network.join(new Uint8Array(32).fill(topic))
  for (const other of wanted) network.connectTo(keysOf(other).publicKey)
  return network
}

const device = JSON.parse(process.argv[2] ?? '{}') as ChildDevice
const running =
  device.isBootstrap === true ? await BootstrapNode.open(device.bootstrap) : startDevice(device)
console.log('ready')
process.stdin.resume().on('end', () => void running.close())
