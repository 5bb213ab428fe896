/**
 * {@link Scenario} over devices in memory: the real replica and file system, no daemon and no
 * kernel. Nothing moves between devices but in the calls that wait for it.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { O_APPEND, O_RDWR, S_IFDIR, S_IFMT, type HandleId } from '../../src/fs/vfs.ts'
import { dumpIndex } from '../support/index-tree.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import type { VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { contentsOf, problemsOfView } from './check-device.ts'
import { fitsName, type Actor, type OpenFile, type OpenScenario } from './scenario.ts'
import { SimulatedDevice, type Message } from './simulated-device.ts'
import { SimulatedNetwork } from './simulated-network.ts'

/** How often devices tell each other what they have, in milliseconds. */
const GOSSIP_MS = 100
/** After so many rounds of gossip all must have everything. */
const ROUNDS_MAX = 200
/** Turns of the event loop between two rounds. */
const TURNS = 4

/** Makes devices of one new drive in memory. */
export const openMemoryScenario: OpenScenario = async devices => {
  const scenario = new MemoryScenario()
  for (const name of devices) await scenario.add(name)
  return {
    as: device => scenario.actor(device),
    heal: () => scenario.heal(),
    part: (...groups) => scenario.part(groups),
    everyoneSees: (path, text) => scenario.everyoneSees(path, text),
    everyoneLists: (path, names) => scenario.everyoneLists(path, names),
    everyoneAgrees: () => scenario.everyoneAgrees(),
    close: () => scenario.close()
  }
}

class MemoryScenario {
  readonly #clock = new VirtualClock()
  readonly #network = new SimulatedNetwork<Message>({
    clock: this.#clock,
    random: new SeededRandom(1)
  })
  readonly #devices = new Map<string, SimulatedDevice>()
  readonly #offline = new Set<string>()

  async add(name: string): Promise<void> {
    const parts = { name, clock: new VirtualClock(), network: this.#network }
    this.#devices.set(name, await SimulatedDevice.create(parts))
    this.#connect()
  }

  actor(name: string): Actor {
    return new MemoryActor(this, this.#device(name))
  }

  async setOnline(name: string, isOnline: boolean): Promise<void> {
    if (isOnline) this.#offline.delete(name)
    else this.#offline.add(name)
    this.#network.setOnline(name, isOnline)
    this.#connect()
    await this.exchange()
  }

  async part(groups: readonly (readonly string[])[]): Promise<void> {
    await this.exchange()
    this.#network.part(groups)
    this.#connect()
  }

  async heal(): Promise<void> {
    this.#network.join()
    for (const name of this.#devices.keys()) {
      this.#offline.delete(name)
      this.#network.setOnline(name, true)
    }
    this.#connect()
    await this.exchange()
    const heads = [...this.#devices.values()].map(({ drive }) => textOfLengths(drive.replica.heads))
    assert.equal(new Set(heads).size, 1, 'all have merged the same')
  }

  /** Lets those who hear each other have what the others have, and merge it. */
  async exchange(): Promise<void> {
    for (const { drive } of this.#devices.values()) await drive.replica.commit()
    for (let before = '', round = 0; round < ROUNDS_MAX; round++) {
      const names = [...this.#devices.keys()]
      for (const device of this.#devices.values()) {
        device.gossip(names.filter(name => name !== device.name))
      }
      await this.#moveTime()
      for (const device of this.#devices.values()) await device.settled()
      const now = [...this.#devices.values()].map(({ lengths }) => textOf(lengths)).join('\n\n')
      if (now === before) return
      before = now
    }
    throw new Error('the devices never come to rest')
  }

  async everyoneSees(path: string, text: string): Promise<void> {
    await this.exchange()
    const cut = path.lastIndexOf('/')
    const [directory, pattern] = [path.slice(0, cut), path.slice(cut + 1)]
    for (const { name, session } of this.#online()) {
      const names = session.names(directory.slice(1)).filter(each => fitsName(pattern, each))
      assert.equal(names.length, 1, `${name} shows ${names.length} of ${path}`)
      const found = `${directory}/${names[0] ?? ''}`
      assert.equal(await session.readFileText(found.slice(1)), text, `${found} on ${name}`)
    }
  }

  async everyoneLists(path: string, names: readonly string[]): Promise<void> {
    await this.exchange()
    for (const { name, session } of this.#online()) {
      const shown = session.names(path.slice(1))
      const areAll = shown.length === names.length
      const isEach = names.every(pattern => shown.some(each => fitsName(pattern, each)))
      assert(areAll && isEach, `${name} shows ${shown.join(', ')} and not ${names.join(', ')}`)
    }
  }

  async everyoneAgrees(): Promise<void> {
    await this.exchange()
    const devices = this.#online()
    const dumps = devices.map(({ drive }) => dumpIndex(drive.replica.index))
    assert.equal(new Set(dumps).size, 1, 'all show the same tree')
    const contents: string[] = []
    for (const device of devices) {
      assert.deepEqual(await problemsOfView(device), [])
      contents.push(textOf(await contentsOf(device)))
    }
    assert.equal(new Set(contents).size, 1, 'all read the same bytes')
  }

  async close(): Promise<void> {
    for (const device of this.#devices.values()) await device.stop()
  }

  /** What changed who can be asked for content. */
  #connect(): void {
    for (const device of this.#devices.values()) {
      device.drive.connected.clear()
      for (const other of this.#devices.values()) {
        if (this.#network.connects(device.name, other.name)) {
          device.drive.connected.add(other.drive)
        }
      }
    }
  }

  async #moveTime(): Promise<void> {
    this.#clock.advance(GOSSIP_MS)
    for (const { clock } of this.#devices.values()) clock.advance(GOSSIP_MS)
    for (let turn = 0; turn < TURNS; turn++) await setImmediate()
  }

  #online(): readonly SimulatedDevice[] {
    return [...this.#devices.values()].filter(({ name }) => !this.#offline.has(name))
  }

  #device(name: string): SimulatedDevice {
    const device = this.#devices.get(name)
    if (!device) throw new Error(`nobody in this story is called ${name}`)
    return device
  }
}

class MemoryActor implements Actor {
  readonly #scenario: MemoryScenario
  readonly #device: SimulatedDevice

  constructor(scenario: MemoryScenario, device: SimulatedDevice) {
    this.#scenario = scenario
    this.#device = device
  }

  get #session(): VfsSession {
    return this.#device.session
  }

  async write(path: string, text: string): Promise<void> {
    await this.#session.writeFile(path.slice(1), text)
  }

  async append(path: string, text: string): Promise<void> {
    const session = this.#session
    const handle = await session.open(path.slice(1), O_RDWR | O_APPEND)
    await session.write(handle, text, 0)
    await session.close(handle)
  }

  read(path: string): Promise<string> {
    return this.#session.readFileText(path.slice(1))
  }

  async list(path: string): Promise<readonly string[]> {
    await Promise.resolve()
    return this.#session.names(path.slice(1))
  }

  async mkdir(path: string): Promise<void> {
    await Promise.resolve()
    this.#session.mkdir(path.slice(1))
  }

  async remove(path: string): Promise<void> {
    await Promise.resolve()
    const session = this.#session
    const isDirectory = (session.stat(path.slice(1)).mode & S_IFMT) === S_IFDIR
    if (isDirectory) session.vfs.rmdir(session.place(path.slice(1)))
    else session.vfs.unlink(session.place(path.slice(1)))
  }

  move(path: string, to: string): Promise<void> {
    return this.#rename(path, to, 'replace')
  }

  exchange(path: string, other: string): Promise<void> {
    return this.#rename(path, other, 'exchange')
  }

  async link(path: string, to: string): Promise<void> {
    await Promise.resolve()
    const session = this.#session
    session.vfs.link(session.ino(path.slice(1)), session.place(to.slice(1)))
  }

  async chmod(path: string, mode: number): Promise<void> {
    const session = this.#session
    await session.vfs.setattr(session.ino(path.slice(1)), { mode })
  }

  async mode(path: string): Promise<number> {
    await Promise.resolve()
    return this.#session.stat(path.slice(1)).mode & 0o7777
  }

  async open(path: string): Promise<OpenFile> {
    const session = this.#session
    return new MemoryOpenFile(session, await session.open(path.slice(1), O_RDWR))
  }

  sync(): Promise<void> {
    return this.#device.sync()
  }

  offline(): Promise<void> {
    return this.#scenario.setOnline(this.#device.name, false)
  }

  online(): Promise<void> {
    return this.#scenario.setOnline(this.#device.name, true)
  }

  async restartAfterKill(): Promise<void> {
    this.#device.kill()
    await this.#device.start()
  }

  async restartAfterPowerLoss(): Promise<void> {
    this.#device.losePower(0)
    await this.#device.start()
  }

  async #rename(path: string, to: string, mode: 'replace' | 'exchange'): Promise<void> {
    await Promise.resolve()
    const session = this.#session
    session.vfs.rename(session.place(path.slice(1)), session.place(to.slice(1)), mode)
  }
}

class MemoryOpenFile implements OpenFile {
  readonly #session: VfsSession
  readonly #handle: HandleId

  constructor(session: VfsSession, handle: HandleId) {
    this.#session = session
    this.#handle = handle
  }

  async write(text: string): Promise<void> {
    await this.#session.write(this.#handle, text, 0)
  }

  async read(): Promise<string> {
    return this.#session.readText(this.#handle)
  }

  close(): Promise<void> {
    return this.#session.close(this.#handle)
  }
}

/** Logs without entries are not known to all. */
function textOfLengths(lengths: ReadonlyMap<string, number>): string {
  return textOf(new Map([...lengths].filter(([, length]) => length > 0)))
}

function textOf(map: ReadonlyMap<string, unknown>): string {
  const lines = [...map].map(([key, value]) => `${key}: ${String(value)}`)
  return lines.toSorted().join('\n')
}
