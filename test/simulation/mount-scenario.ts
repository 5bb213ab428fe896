/**
 * {@link Scenario} over real mounts: real daemons on this machine that find each other over
 * loopback by a node of their own, and real programs that use the mounted folders.
 *
 * The devices of one fleet tell many stories, each in a directory of its own. A device that is
 * offline, or parted from the others, is mounted anew where it finds nobody: programs that have
 * files open there would notice, so a story does not part a device with open files.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Test } from 'tap'
import { ApiClient } from '../../bin/api-client.ts'
import { Home } from '../../bin/home.ts'
import { isProcessAlive } from '../../bin/process-alive.ts'
import { bootstrapProcess, type LoopbackEnvironment } from '../bin/bootstrap-process.ts'
import { invite } from '../bin/device-pair.ts'
import { COMMAND_MS_MAX, GroveHome, until } from '../bin/grove-home.ts'
import { MountClient } from '../support/mount-client.ts'
import { fitsName, type Actor, type OpenFile, type Scenario } from './scenario.ts'

/**
 * An environment in which nobody is found, and that nobody finds: at the address that others
 * remember of a device they would still look for it.
 */
const ALONE: LoopbackEnvironment = { GROVE_LISTEN: '127.0.0.2', GROVE_BOOTSTRAP: '127.0.0.2:1' }

/** How long all devices may take to show something, in milliseconds. */
const SHOW_MS_MAX = 40_000
/** How often it is looked for, in milliseconds. */
const LOOK_MS = 25

/** Mounted devices of one drive. */
export class MountFleet {
  readonly #devices = new Map<string, MountedDevice>()
  #stories = 0

  /** Makes a drive on devices of these names, all mounted and online. */
  static async start(t: Test, names: readonly string[]): Promise<MountFleet> {
    const fleet = new MountFleet()
    const environment = await bootstrapProcess(t)
    let first: GroveHome | undefined
    for (const name of names) {
      const home = await GroveHome.make(t, { environment })
      if (first) await home.succeed(['join', await invite(first), '--name', name])
      else await home.succeed(['init', '--name', name])
      first ??= home
      const device = new MountedDevice(home, environment)
      t.teardown(() => device.endProgram())
      await device.goOnline()
      fleet.#devices.set(name, device)
    }
    await fleet.#connected()
    return fleet
  }

  /** Some of the devices, for one story. */
  async tell(names: readonly string[], story: (scenario: Scenario) => Promise<void>) {
    const directory = `/story ${++this.#stories}`
    const devices = new Map(names.map(name => [name, this.#device(name)]))
    await this.#device(names[0] ?? '').call('mkdir', directory)
    const scenario = new MountScenario(devices, directory, () => this.#heal())
    await settle('all have the directory', async () => {
      for (const device of devices.values()) await device.call('list', directory)
    })
    await story(scenario)
    const areParted = [...this.#devices.values()].some(({ isOnline }) => !isOnline)
    if (areParted) await this.#heal()
  }

  #device(name: string): MountedDevice {
    const device = this.#devices.get(name)
    if (!device) throw new Error(`nobody in this story is called ${name}`)
    return device
  }

  async #heal(): Promise<void> {
    for (const device of this.#devices.values()) {
      if (device.isOnline) continue
      assert.equal(await device.others(), 0, 'it was alone until now')
      await device.goOnline()
    }
    await this.#connected()
    // Whatever one has not heard of yet shows in its tree.
    await settle('all show the same', async () => {
      const trees: unknown[] = []
      for (const device of this.#devices.values()) trees.push(await device.call('tree', '/'))
      for (const tree of trees) assert.deepEqual(tree, trees[0])
    })
  }

  async #connected(): Promise<void> {
    const others = this.#devices.size - 1
    for (const device of this.#devices.values()) {
      await until(async () => (await device.others()) === others, `${others} others are online`)
    }
  }
}

/** One device: its home, and the program that uses what it mounts. */
class MountedDevice {
  readonly home: GroveHome
  isOnline = false
  readonly #environment: LoopbackEnvironment
  #program: MountClient | undefined

  constructor(home: GroveHome, environment: LoopbackEnvironment) {
    this.home = home
    this.#environment = environment
  }

  call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    this.#program ??= new MountClient(this.home.mountPoint)
    return this.#program.call(name, ...args)
  }

  /** The daemon, asked without the `grove` command, which would have to be started each time. */
  async daemon(): Promise<ApiClient> {
    const home = await Home.locate({ GROVE_HOME: this.home.directory })
    return ApiClient.require(home, AbortSignal.timeout(COMMAND_MS_MAX))
  }

  /** How many others it is connected to. */
  async others(): Promise<number> {
    return (await (await this.daemon()).status()).network.online
  }

  async endProgram(): Promise<void> {
    await this.#program?.end()
    this.#program = undefined
  }

  async goOnline(): Promise<void> {
    await this.#mount(this.#environment)
    this.isOnline = true
  }

  async goOffline(): Promise<void> {
    await this.#mount(ALONE)
    this.isOnline = false
  }

  async kill(): Promise<void> {
    await this.endProgram()
    await this.home.kill((await (await this.daemon()).status()).pid)
    await this.home.mountIn(this.isOnline ? this.#environment : ALONE)
  }

  async #mount(environment: LoopbackEnvironment): Promise<void> {
    await this.#stop()
    await this.home.mountIn(environment)
  }

  async #stop(): Promise<void> {
    await this.endProgram()
    const home = await Home.locate({ GROVE_HOME: this.home.directory })
    const running = await ApiClient.find(home, AbortSignal.timeout(COMMAND_MS_MAX))
    if (running) {
      const { pid } = await running.stop()
      await until(() => !isProcessAlive(pid), `daemon ${pid} ends`)
    }
  }
}

class MountScenario implements Scenario {
  readonly heal: () => Promise<void>
  readonly #devices: ReadonlyMap<string, MountedDevice>
  readonly #directory: string

  constructor(
    devices: ReadonlyMap<string, MountedDevice>,
    directory: string,
    heal: () => Promise<void>
  ) {
    this.#devices = devices
    this.#directory = directory
    this.heal = heal
  }

  readonly as = (name: string): Actor => {
    const device = this.#devices.get(name)
    if (!device) throw new Error(`nobody in this story is called ${name}`)
    return new MountActor(device, this.#directory)
  }

  readonly part = async (...groups: readonly (readonly string[])[]): Promise<void> => {
    // The first group keeps the network. Others can only be alone.
    for (const group of groups.slice(1)) {
      assert(group.length === 1, 'over mounts, all but the first group are single devices')
      for (const name of group) await this.as(name).offline()
    }
  }

  readonly everyoneSees = async (path: string, text: string): Promise<void> => {
    const cut = path.lastIndexOf('/')
    const [directory, pattern] = [path.slice(0, cut), path.slice(cut + 1)]
    await settle(`${path} is "${text}"`, async () => {
      for (const name of this.#online()) {
        const names = (await this.as(name).list(directory)).filter(each => fitsName(pattern, each))
        assert.equal(names.length, 1, `${name} shows ${names.length} of ${path}`)
        assert.equal(await this.as(name).read(`${directory}/${names[0] ?? ''}`), text, name)
      }
    })
  }

  readonly everyoneLists = async (path: string, names: readonly string[]): Promise<void> => {
    await settle(`${path} lists ${names.join(', ')}`, async () => {
      for (const name of this.#online()) {
        const shown = await this.as(name).list(path)
        const isEach = names.every(pattern => shown.some(each => fitsName(pattern, each)))
        assert(shown.length === names.length && isEach, `${name} shows ${shown.join(', ')}`)
      }
    })
  }

  readonly everyoneAgrees = async (): Promise<void> => {
    await settle('all show the same', async () => {
      const trees: unknown[] = []
      for (const name of this.#online())
        trees.push(await this.#devices.get(name)?.call('tree', this.#directory))
      for (const tree of trees) assert.deepEqual(tree, trees[0])
    })
  }

  readonly close = (): Promise<void> => Promise.resolve()

  #online(): readonly string[] {
    return [...this.#devices].filter(([, { isOnline }]) => isOnline).map(([name]) => name)
  }
}

/** What one device did is soon seen by the others: tries until it is, or for too long. */
async function settle(what: string, holds: () => Promise<void>): Promise<void> {
  const deadlineMs = performance.now() + SHOW_MS_MAX
  for (;;) {
    try {
      await holds()
      return
    } catch (cause) {
      if (performance.now() > deadlineMs) throw new Error(`in vain: ${what}`, { cause })
    }
    await new Promise(wake => setTimeout(wake, LOOK_MS))
  }
}

class MountActor implements Actor {
  readonly #device: MountedDevice
  readonly #directory: string

  constructor(device: MountedDevice, directory: string) {
    this.#device = device
    this.#directory = directory
  }

  async write(path: string, text: string): Promise<void> {
    await this.#call('write', path, text)
  }

  async append(path: string, text: string): Promise<void> {
    await this.#call('append', path, text)
  }

  async read(path: string): Promise<string> {
    return (await this.#call('read', path)) as string
  }

  async list(path: string): Promise<readonly string[]> {
    return (await this.#call('list', path)) as readonly string[]
  }

  async mkdir(path: string): Promise<void> {
    await this.#call('mkdir', path)
  }

  async remove(path: string): Promise<void> {
    await this.#call('remove', path)
  }

  async move(path: string, to: string): Promise<void> {
    await this.#call('move', path, this.#at(to))
  }

  async exchange(): Promise<void> {
    await Promise.reject(new Error('no program of this machine swaps files'))
  }

  async link(path: string, to: string): Promise<void> {
    await this.#call('link', path, this.#at(to))
  }

  async chmod(path: string, mode: number): Promise<void> {
    await this.#call('chmod', path, mode)
  }

  async mode(path: string): Promise<number> {
    return (await this.#call('mode', path)) as number
  }

  async open(path: string): Promise<OpenFile> {
    const file = await this.#call('open', path)
    const call = (name: string, ...args: readonly unknown[]): Promise<unknown> =>
      this.#device.call(name, file, ...args)
    return {
      write: async text => void (await call('writeOpen', text)),
      read: async () => (await call('readOpen')) as string,
      close: async () => void (await call('closeOpen'))
    }
  }

  async sync(): Promise<void> {
    await this.#device.call('sync')
  }

  async offline(): Promise<void> {
    if (this.#device.isOnline) await this.#device.goOffline()
  }

  async online(): Promise<void> {
    if (!this.#device.isOnline) await this.#device.goOnline()
  }

  restartAfterKill(): Promise<void> {
    return this.#device.kill()
  }

  async restartAfterPowerLoss(): Promise<void> {
    await Promise.reject(new Error('the power of this machine is not cut'))
  }

  #at(path: string): string {
    return `${this.#directory}${path}`
  }

  #call(name: string, path: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#device.call(name, this.#at(path), ...args)
  }
}
