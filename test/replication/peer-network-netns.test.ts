/** The real network between computers of a local network, played by network namespaces. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { BRIDGE_ADDRESS, NetworkNamespaces } from '../support/network-namespaces.ts'
import { PeerDevice } from '../support/peer-device.ts'

const LOOK_MS = 20
const LOOKS_MAX = 2_250

const PORT = 49_737
const SEEDS = [0, 1, 2]

const obstacle = await NetworkNamespaces.obstacle()

async function until(what: string, isSo: () => boolean): Promise<number> {
  const begun = performance.now()
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (isSo()) return Math.round(performance.now() - begun)
    await sleep(LOOK_MS)
  }
  throw new Error(`never: ${what}`)
}

/** Each device's view of the others. */
const all = (devices: readonly PeerDevice[], left: number, right: number): boolean =>
  devices[left]?.connected.has(right) === true && devices[right]?.connected.has(left) === true

const none = (devices: readonly PeerDevice[], seed: number): boolean =>
  devices[seed]?.connected.size === 0 &&
  devices.every((device, other) => other === seed || !device.connected.has(seed))

const options = obstacle === undefined ? { timeout: 240_000 } : { skip: obstacle }

t.test('three computers of a local network without the internet', options, async t => {
  const network = await NetworkNamespaces.open(3)
  const bootstrap = { host: BRIDGE_ADDRESS, port: PORT }
  const node = new PeerDevice({ bootstrap, isBootstrap: true, seed: 31 }, network.atBridge)
  const devices: PeerDevice[] = []
  try {
    await until('the bootstrap node listens', () => node.lines.includes('ready'))
    for (const seed of SEEDS) {
      const wanted = SEEDS.filter(other => other !== seed)
      devices.push(new PeerDevice({ bootstrap, seed, wanted }, network.at(seed)))
    }
    const isWhole = (): boolean => all(devices, 0, 1) && all(devices, 1, 2) && all(devices, 0, 2)
    await until('all are connected', isWhole)

    for (const [how, cut, mend] of [
      ['the plug is pulled', () => network.unplug(0), () => network.plug(0)],
      ['the switch fails', () => network.cut(0), () => network.mend(0)]
    ] as const) {
      await cut()
      const noticedMs = await until(`${how}: all noticed`, () => none(devices, 0))
      t.ok(all(devices, 1, 2), 'the others stay connected')
      await mend()
      const healedMs = await until(`${how}: connected again`, isWhole)
      t.comment(`${how}: noticed after ${noticedMs} ms, connected again after ${healedMs} ms`)
    }

    await devices[0]?.kill()
    devices[0] = new PeerDevice({ bootstrap, seed: 0, wanted: [1, 2] }, network.at(0))
    t.comment(`killed and started: ${await until('connected again', isWhole)} ms`)
    await node.end()
    t.equal(node.exitCode, 0)
    await Promise.all(devices.map(device => device.end()))
    t.same(
      devices.map(({ exitCode }) => exitCode),
      [0, 0, 0],
      'nothing keeps them alive'
    )
  } finally {
    await Promise.all([node, ...devices].map(each => each.kill()))
    await network.close()
  }
})
