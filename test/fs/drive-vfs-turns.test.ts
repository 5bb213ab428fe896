/**
 * Two devices that take turns are one file system: whatever each does, after an exchange both
 * show what a single naive one does, handles that stayed open included.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { FsError } from '../../src/fs/fs-error.ts'
import { O_APPEND, O_RDWR, type HandleId, type InodeNumber } from '../../src/fs/vfs.ts'
import type { Name } from '../../src/sync/operation.ts'
import { checkIndex } from '../support/check-index.ts'
import { exchange, makeDevices, type Device } from '../support/device-twins.ts'
import { MemoryVfs } from '../support/memory-vfs.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { patternBytes, VfsSession } from '../support/vfs-session.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const SEED = 20_261_121
const RUNS = 10
const STEPS = 40
const PATHS = ['a', 'b', 'd', 'd/a', 'd/b', 'e', 'e/a', 'd/e', 'd/e/a', 'e/d']
const SIZES = [0, 1, 600, 5000, 131_072, 140_000]
const XATTR = 'user.x' as Name

/** What a step does, to each of the file systems alike. */
type Step = (session: VfsSession) => unknown

function pick<Value>(random: SeededRandom, values: readonly [Value, ...Value[]]): Value {
  return values[random.integer(values.length)] ?? values[0]
}

function randomStep(random: SeededRandom): Step {
  const paths = PATHS as [string, ...string[]]
  const [path, other] = [pick(random, paths), pick(random, paths)]
  const size = pick(random, SIZES as [number, ...number[]])
  const content = patternBytes(size, random.integer(1000) + 1)
  const steps: readonly [Step, ...Step[]] = [
    async s => s.writeFile(path, content),
    async s => s.writeFile(path, content),
    async s => append(s, path, content.subarray(0, 700)),
    s => void s.vfs.setattr(s.ino(path), { size }),
    s => void s.mkdir(path),
    s => s.vfs.unlink(s.place(path)),
    s => s.vfs.rmdir(s.place(path)),
    s => s.vfs.rename(s.place(path), s.place(other), 'replace'),
    s => s.vfs.rename(s.place(path), s.place(other), 'exchange'),
    s => void s.vfs.link(s.ino(path), s.place(other)),
    s => void s.vfs.setattr(s.ino(path), { mode: content.length % 2 === 0 ? 0o600 : 0o755 }),
    s => s.vfs.setxattr(s.ino(path), XATTR, content.subarray(0, 9), 'set')
  ]
  return pick(random, steps)
}

async function append(session: VfsSession, path: string, content: Uint8Array): Promise<void> {
  const handle = await session.open(path, O_RDWR | O_APPEND)
  await session.write(handle, content, 0)
  await session.close(handle)
}

/** @returns the code that a step failed with, if it did */
async function outcomeOf(step: Step, session: VfsSession): Promise<string | undefined> {
  try {
    await step(session)
    return undefined
  } catch (error) {
    if (error instanceof FsError) return error.code
    throw error
  }
}

/** Everything that can be seen but times and numbers. */
async function pictureOf(session: VfsSession, path = ''): Promise<readonly unknown[]> {
  const { ino, mode, nlink, size } = session.stat(path)
  const xattrs: [string, string][] = []
  for (const name of session.vfs.listxattr(ino)) {
    const value = await session.vfs.getxattr(ino, name)
    xattrs.push([name, Buffer.from(value).toString('hex')])
  }
  if (mode >>> 12 !== 4) {
    const content = Buffer.from(await session.readFile(path))
    return [path, mode, nlink, size, xattrs, content.toString('latin1')]
  }
  const children: unknown[] = []
  for (const name of session.names(path))
    children.push(await pictureOf(session, path === '' ? name : `${path}/${name}`))
  return [path, mode, nlink, xattrs, children]
}

/** A file that stays open on one of the devices and in the model. */
interface Held {
  readonly device: Device
  readonly handle: HandleId
  readonly ino: InodeNumber
  readonly model: { readonly handle: HandleId; readonly ino: InodeNumber }
}

class Turns {
  readonly devices: readonly Device[]
  readonly model: VfsSession
  readonly random: SeededRandom
  readonly held: Held[] = []

  constructor(devices: readonly Device[], clock: VirtualClock, seed: number) {
    this.devices = devices
    this.random = new SeededRandom(seed)
    this.model = new VfsSession(new MemoryVfs({ clock, uid: 0, gid: 0 }))
  }

  async step(): Promise<void> {
    const device = pick(this.random, this.devices as [Device, ...Device[]])
    const step = randomStep(this.random)
    const expected = await outcomeOf(step, this.model)
    assert.equal(await outcomeOf(step, device), expected)
    if (this.random.integer(3) === 0) await this.hold(device)
    await exchange(...this.devices)
    if (this.random.integer(3) === 0) await this.writeHeld()
    await exchange(...this.devices)
    for (const each of this.devices) {
      assert.deepEqual(await pictureOf(each), await pictureOf(this.model))
      assert.deepEqual([...each.drive.replica.index.conflicts()], [])
    }
    await this.checkHeld()
  }

  async hold(device: Device): Promise<void> {
    const path = pick(this.random, PATHS as [string, ...string[]])
    const opening = async (session: VfsSession) => {
      const ino = session.ino(path)
      return { ino, handle: await session.open(path, O_RDWR) }
    }
    if (!this.model.exists(path) || this.model.stat(path).mode >>> 12 === 4) return
    this.held.push({ device, ...(await opening(device)), model: await opening(this.model) })
  }

  /** Not of one without a name: what is written there comes back, or not, by who took the name. */
  async writeHeld(): Promise<void> {
    const held = this.held[this.random.integer(this.held.length + 1)]
    if (!held || this.model.vfs.getattr(held.model.ino).nlink === 0) return
    const bytes = patternBytes(300, this.random.integer(1000) + 1)
    const offset = this.random.integer(200_000)
    await held.device.write(held.handle, bytes, offset)
    await this.model.write(held.model.handle, bytes, offset)
  }

  async checkHeld(): Promise<void> {
    for (const { device, handle, ino, model } of this.held) {
      const { size, nlink } = this.model.vfs.getattr(model.ino)
      const seen = device.vfs.getattr(ino)
      assert.deepEqual([seen.size, seen.nlink], [size, nlink])
      const content = await device.read(handle, 0, size)
      const expected = await this.model.read(model.handle, 0, size)
      assert.equal(Buffer.compare(content, expected), 0)
    }
  }

  async end(): Promise<void> {
    for (const { device, handle } of this.held) await device.close(handle)
    await exchange(...this.devices)
    for (const { drive } of this.devices) checkIndex(drive.replica.index)
  }
}

t.test(`devices that take turns are one file system, in ${RUNS} random histories`, async t => {
  for (let run = 0; run < RUNS; run++) {
    const devices = await makeDevices(t, 'laptop', 'phone')
    const turns = new Turns(devices, new VirtualClock(), SEED + run)
    for (let step = 0; step < STEPS; step++)
      await turns.step().catch((cause: unknown) => {
        throw new Error(`seed ${SEED + run}, step ${step}`, { cause })
      })
    await turns.end()
  }
})
