/**
 * Some devices of one drive on this machine, with a node of their own by which they find each
 * other: over loopback, or in network namespaces with a link between them that delays.
 *
 * @module
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { run } from '../command.ts'
import { unmountFolder } from '../subject.ts'
import { COMMAND, Device, eventually, inNamespace, type DevicePlace } from './device.ts'
import { Holder } from './holder.ts'

/** The port of the node in the namespaces. */
const NAMESPACE_PORT = 49_901
/** How long devices may take to find each other, in milliseconds. */
const CONNECT_MS_MAX = 60_000
/** Forwards frames between two interfaces with a delay; not compiled, so found beside its source. */
const DELAY_LINK = fileURLToPath(new URL('../../../bench/devices/delay-link.py', import.meta.url))

/** A drive on several devices. */
export class Fleet {
  /** The devices; the first made the drive. */
  readonly devices: readonly Device[]
  readonly #base: string
  readonly #places: readonly DevicePlace[]
  readonly #children: readonly ChildProcess[]
  readonly #namespaces: readonly string[]
  readonly #holders: Holder[] = []

  private constructor(parts: {
    readonly base: string
    readonly devices: readonly Device[]
    readonly places: readonly DevicePlace[]
    readonly children: readonly ChildProcess[]
    readonly namespaces: readonly string[]
  }) {
    this.devices = parts.devices
    this.#base = parts.base
    this.#places = parts.places
    this.#children = parts.children
    this.#namespaces = parts.namespaces
  }

  /** Makes homes on loopback; none has a drive yet. */
  static async onLoopback(base: string, names: readonly string[]): Promise<Fleet> {
    const port = await freePort()
    const node = await startNode(undefined, '127.0.0.1', port)
    const environment = {
      GROVE_BOOTSTRAP: `127.0.0.1:${port}`,
      GROVE_LISTEN: '127.0.0.1'
    }
    const places = names.map(() => ({ environment }))
    const devices = await makeDevices(base, names, places)
    return new Fleet({ base, devices, places, children: [node], namespaces: [] })
  }

  /** Makes two homes in namespaces whose link delays every packet by `delayMs` each way. */
  static async onSlowLink(base: string, delayMs: number): Promise<Fleet> {
    const spaces = ['grove-bench-a', 'grove-bench-b']
    const children: ChildProcess[] = []
    try {
      for (const [number, space] of spaces.entries()) await makeNamespace(space, number)
      children.push(spawn('python3', [DELAY_LINK, 'gbench0', 'gbench1', String(delayMs)]))
      children.push(await startNode(spaces[0], '10.77.0.1', NAMESPACE_PORT))
      const environment = { GROVE_BOOTSTRAP: `10.77.0.1:${NAMESPACE_PORT}` }
      const places = spaces.map(namespace => ({ environment, namespace }))
      const devices = await makeDevices(base, ['near', 'far'], places)
      return new Fleet({ base, devices, places, children, namespaces: spaces })
    } catch (error) {
      await endAll(children, spaces)
      throw error
    }
  }

  /** A device by its place in the list. */
  device(number: number): Device {
    const device = this.devices[number]
    if (device === undefined) throw new Error(`there is no device ${number}`)
    return device
  }

  /** Makes the drive on the first device and mounts it there. */
  async begin(): Promise<void> {
    const first = this.device(0)
    await first.grove('init', '--name', first.name)
    await first.mount()
  }

  /** Lets a device join, mounts it, and waits until it is connected to the first. */
  async join(number: number, content: 'all' | 'on-demand'): Promise<void> {
    await this.pair(number, content)
    await this.connected(number)
  }

  /** Lets a device join and mounts it. */
  async pair(number: number, content: 'all' | 'on-demand'): Promise<void> {
    const device = this.device(number)
    const { code } = JSON.parse(await this.device(0).grove('invite', '--json')) as { code: string }
    await device.grove('join', code, '--name', device.name)
    await device.grove('config', 'content', content)
    await device.mount()
  }

  /**
   * Starts a holder where a device is, and has the first device use it.
   *
   * @param space - how much it keeps at most, as the command takes it
   */
  async hold(name: string, space: string, number = 0): Promise<Holder> {
    const place = this.#places[number] ?? { environment: {} }
    const holder = await Holder.start(name, { base: this.#base, place, space })
    this.#holders.push(holder)
    await this.device(0).grove('holders', 'add', holder.code)
    await eventually(`${name} connects`, CONNECT_MS_MAX, async () => {
      const listed = JSON.parse(await this.device(0).grove('holders', '--json')) as unknown
      return !JSON.stringify(listed).includes('"online":false')
    })
    return holder
  }

  /** Waits until a device is connected to the first. */
  async connected(number: number): Promise<void> {
    await eventually(`${this.device(number).name} connects`, CONNECT_MS_MAX, async () => {
      const listed = JSON.parse(await this.device(number).grove('devices', '--json')) as unknown
      return JSON.stringify(listed).includes('"online":true')
    })
  }

  /** Ends every daemon, unmounts, and removes the network. */
  async close(): Promise<void> {
    for (const device of this.devices) {
      await device.stop().catch(() => undefined)
      await unmountFolder(device.directory, 'lazy').catch(() => undefined)
    }
    for (const holder of this.#holders) await holder.end('SIGTERM')
    await endAll(this.#children, this.#namespaces)
  }
}

async function makeDevices(
  base: string,
  names: readonly string[],
  places: readonly DevicePlace[]
): Promise<Device[]> {
  const devices: Device[] = []
  for (const [number, name] of names.entries())
    devices.push(await Device.make(name, base, places[number] ?? { environment: {} }))
  return devices
}

/** A port of loopback that nothing listens at, for datagrams. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

async function startNode(
  namespace: string | undefined,
  host: string,
  port: number
): Promise<ChildProcess> {
  const line = [process.execPath, COMMAND, 'bootstrap', '--host', host, '--port', String(port)]
  const { program, args } = inNamespace(namespace, line)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
  if (child.exitCode !== null) throw new Error('the bootstrap node does not start')
  return child
}

/** A namespace with one interface, whose other end `gbenchN` is here for the delaying link. */
async function makeNamespace(space: string, number: number): Promise<void> {
  const [outer, inner] = [`gbench${number}`, `gbenchn${number}`]
  await run('ip', ['netns', 'add', space])
  await run('ip', ['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', space])
  await run('ip', ['link', 'set', outer, 'up', 'promisc', 'on'])
  const inside = (...args: string[]): Promise<string> => run('ip', ['-n', space, ...args])
  await inside('addr', 'add', `10.77.0.${number + 1}/24`, 'dev', inner)
  await inside('link', 'set', inner, 'up')
  await inside('link', 'set', 'lo', 'up')
  const { program, args } = inNamespace(space, ['python3', DELAY_LINK, '--offload', inner])
  await run(program, args)
}

async function endAll(
  children: readonly ChildProcess[],
  namespaces: readonly string[]
): Promise<void> {
  for (const child of children) child.kill('SIGTERM')
  for (const [number, space] of namespaces.entries()) {
    // A namespace takes its end of a link along only some time after it is deleted.
    await run('ip', ['link', 'del', `gbench${number}`]).catch(() => undefined)
    await run('ip', ['netns', 'del', space]).catch(() => undefined)
  }
}
