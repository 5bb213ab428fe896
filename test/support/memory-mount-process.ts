/**
 * The process that serves a {@link MemoryVfs} through the driver it is told, for tests: a process
 * must not touch its own mount, so the test that does is another one. Started and spoken to by
 * `memory-mount.ts`.
 *
 * Some names behave badly on purpose, so that a test can see what the driver makes of it:
 * - reads of `stuck*` wait until the test lets them go, and again when it holds them up,
 * - reads of `throws*` throw what no one foresaw.
 *
 * @module
 */
import { mountFuseNative } from '../../src/fs/fuse/fuse-native-driver.ts'
import { mountLinux, type LinuxMount } from '../../src/fs/fuse/linux-driver.ts'
import type { Mount, MountOptions } from '../../src/fs/fuse/mount.ts'
import type { HandleId, InodeNumber, Vfs } from '../../src/fs/vfs.ts'
import type { Timestamp } from '../../src/sync/clock.ts'
import type { Name } from '../../src/sync/operation.ts'
import { MemoryVfs } from './memory-vfs.ts'
import type { MemoryMountDriver, ServerState } from './memory-mount.ts'

const clock = {
  now(): Timestamp {
    const ms = performance.timeOrigin + performance.now()
    const sec = Math.floor(ms / 1000)
    return { sec, nsec: Math.floor((ms - sec * 1000) * 1_000_000) }
  },
  after: () => ({ cancel: () => undefined })
}

/** Gives a file system the bad habits that the module comment lists. */
class Habits {
  readonly #stuck = new Set<HandleId>()
  readonly #throwing = new Set<HandleId>()
  readonly #waiting: (() => void)[] = []
  readonly #names = new Map<InodeNumber, Name>()
  #isHeldUp = true

  constructor(vfs: Vfs) {
    const [open, read] = [vfs.open.bind(vfs), vfs.read.bind(vfs)]
    const create = vfs.create.bind(vfs)
    vfs.create = (place, node, caller) => {
      const opened = create(place, node, caller)
      this.#names.set(opened.attributes.ino, place.name)
      return opened
    }
    const mknod = vfs.mknod.bind(vfs)
    vfs.mknod = (place, node, caller) => {
      const attributes = mknod(place, node, caller)
      this.#names.set(attributes.ino, place.name)
      return attributes
    }
    vfs.open = (ino, flags) => {
      const handle = open(ino, flags)
      const name = this.#names.get(ino) ?? ''
      if (handle instanceof Promise) return handle
      if (name.startsWith('stuck')) this.#stuck.add(handle)
      if (name.startsWith('throws')) this.#throwing.add(handle)
      return handle
    }
    vfs.read = (handle, range, signal) => {
      if (this.#throwing.has(handle)) throw new TypeError('nobody foresaw this')
      if (!this.#isHeldUp || !this.#stuck.has(handle)) return read(handle, range)
      // As who waits for another device does.
      signal?.()
      return new Promise(resolve => this.#waiting.push(() => resolve(read(handle, range))))
    }
  }

  /** From now on reads wait, or do not. */
  holdUp(isHeldUp: boolean): void {
    this.#isHeldUp = isHeldUp
    if (isHeldUp) return
    for (const go of this.#waiting.splice(0)) go()
  }

  /** How many reads wait. */
  get waitingCount(): number {
    return this.#waiting.length
  }
}

const [directory = '', settings = '{}'] = process.argv.slice(2)
const {
  readOnly = false,
  allowOther = false,
  driver = 'linux'
} = JSON.parse(settings) as {
  readOnly?: boolean
  allowOther?: boolean
  driver?: MemoryMountDriver
}
const vfs = new MemoryVfs({
  clock,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0
})
const habits = new Habits(vfs)
const reports: string[] = []
let served = 0

/** What the fuse-native driver has not, it has not here either. */
type ServedMount = Mount & Partial<Pick<LinuxMount, 'requestCounts' | 'notifier'>>

/** How long the process works without a break until a program asks, in milliseconds. */
const BUSY_MS_MAX = 10_000

const commands: Record<string, (mount: ServedMount, args: readonly unknown[]) => unknown> = {
  state: (mount): ServerState => ({
    requests: mount.requestCounts?.() ?? {},
    served,
    inodes: vfs.inodeCount,
    handles: vfs.handleCount,
    waiting: habits.waitingCount,
    rootRemembered: vfs.rememberedCount(1 as InodeNumber),
    notifier: mount.notifier?.status() ?? { queued: 0, sent: 0, missed: 0, failed: 0 },
    reports
  }),
  /** Works without a break until a program waits for an answer. @returns whether one does */
  busyUntilAsked: mount => {
    const end = performance.now() + BUSY_MS_MAX
    while (mount.isAsked?.() !== true) if (performance.now() > end) return false
    return true
  },
  unmount: async (mount, [lazy]) => mount.unmount({ lazy: lazy === true }),
  ended: async mount => mount.ended,
  holdUp: (_mount, [isHeldUp]) => habits.holdUp(isHeldUp === true),
  /** Appends behind the kernel's back and tells it. */
  growBehind: (mount, [name, text, notify]) => {
    const ino = inodeOf(name)
    const handle = vfs.open(ino, 1)
    const { size } = vfs.getattr(ino)
    const bytes = Buffer.from(String(text))
    void vfs.write(handle, bytes, { offset: size, killPrivileges: false })
    vfs.release(handle)
    return notify === true ? mount.notifier?.grew(ino, size + bytes.length) : true
  },
  /** Makes an empty file behind the kernel's back. */
  createBehind: (_mount, [name]) => {
    const place = { parent: 1 as InodeNumber, name: String(name) as Name }
    vfs.mknod(place, { mode: 0o100644, rdev: 0 }, { uid: 0, gid: 0 })
  },
  /** Removes a file of a directory behind the kernel's back. */
  unlinkBehind: (_mount, [directoryName, name]) =>
    vfs.unlink({ parent: inodeOf(directoryName), name: String(name) as Name }),
  /** Cuts a file behind the kernel's back. */
  cutBehind: (_mount, [name, size]) => {
    vfs.setattr(inodeOf(name), { size: Number(size) })
  },
  /** Removes a file behind the kernel's back and tells it. */
  removeBehind: (mount, [name]) => {
    const place = { parent: 1 as InodeNumber, name: String(name) as Name }
    const ino = inodeOf(name)
    vfs.unlink(place)
    return mount.notifier?.nameRemoved(place, ino)
  },
  contentChanged: (mount, [name]) => mount.notifier?.contentChanged(inodeOf(name)),
  attributesChanged: (mount, [name]) => mount.notifier?.attributesChanged(inodeOf(name)),
  nameChanged: (mount, [name]) =>
    mount.notifier?.nameChanged({ parent: 1 as InodeNumber, name: String(name) as Name }),
  nameReplaced: (mount, [name]) =>
    mount.notifier?.nameReplaced({ parent: 1 as InodeNumber, name: String(name) as Name })
}

function inodeOf(name: unknown): InodeNumber {
  return vfs.lookup({ parent: 1 as InodeNumber, name: String(name) as Name }).ino
}

async function main(): Promise<void> {
  const report = (message: string, cause: unknown): void => {
    reports.push(cause instanceof Error ? `${message}: ${cause.message}` : message)
  }
  const onServed = (): void => {
    served += 1
  }
  const mount = await mountWith({ vfs, directory, readOnly, allowOther, report, onServed })
  process.on(
    'message',
    ({ id, command, args }: { id: number; command: string; args: unknown[] }) => {
      const answer = async (): Promise<unknown> => commands[command]?.(mount, args)
      answer().then(
        result => process.send?.({ id, result: result ?? null }),
        (error: unknown) => process.send?.({ id, error: errorOf(error) })
      )
    }
  )
  // The test has gone: do not stay behind with a mount.
  process.on('disconnect', () => {
    void mount.unmount({ lazy: true }).finally(() => process.exit(1))
  })
  process.send?.({ id: 0, result: null })
}

async function mountWith(options: MountOptions): Promise<ServedMount> {
  return driver === 'linux' ? mountLinux(options) : mountFuseNative(options)
}

function errorOf(error: unknown): { message: string; code: unknown } {
  const { message, code } = error as { message?: string; code?: unknown }
  return { message: message ?? String(error), code }
}

main().catch((error: unknown) => process.send?.({ id: 0, error: errorOf(error) }))
