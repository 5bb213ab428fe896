/**
 * The linux driver: the kernel's own protocol over a small native part, the default on Linux.
 *
 * The process that serves a mount must not touch it synchronously, or it waits for itself: it
 * has no working directory there, starts no program from there, and unmounts on a thread while
 * it goes on serving.
 *
 * @module
 */
import { realpath, stat, writeFile } from 'node:fs/promises'
import { constants, endianness } from 'node:os'
import { setTimeout as setTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { clearDeadMount } from './clear-dead-mount.ts'
import { loadFuseAddon, type FuseAddon, type FuseDevice } from './linux/fuse-device.ts'
import { FuseNotifier, NOTIFICATIONS_BYTES_MAX, NOTIFICATIONS_MAX } from './linux/fuse-notifier.ts'
import {
  EPOCH_MINOR_MIN,
  REPLY_BUFFER_BYTES,
  REQUEST_BUFFER_BYTES,
  TRANSFER_BYTES_MAX
} from './linux/fuse-protocol.ts'
import { KernelCaches } from './linux/kernel-caches.ts'
import { FuseReply } from './linux/fuse-reply.ts'
import { FuseRequest } from './linux/fuse-request.ts'
import { FuseSession } from './linux/fuse-session.ts'
import { kernelMount, type KernelMount } from './linux/kernel-mount.ts'
import { mountAt, readMountTable } from './mount-table.ts'
import { MountError, type Mount, type MountOptions } from './mount.ts'
import { FsError } from '../fs-error.ts'
import { S_IFMT, S_IFREG, type InodeNumber, type Vfs } from '../vfs.ts'

/** How long a turn of the event loop may be taken up by requests, in microseconds. */
export const TURN_MICROSECONDS = 1000
/** How many requests a turn of the event loop serves at most. */
export const TURN_REQUESTS = 256
/** How long a turn waits for the next request before it goes back to the event loop. */
export const SPIN_MICROSECONDS = 50
/** How long the kernel may take to begin, in milliseconds. */
export const INIT_MS_MAX = 10_000
/** How long an unmount waits for what is under way, in milliseconds. */
export const UNMOUNT_MS_MAX = 10_000

const { errno } = constants

/** A folder mounted by the linux driver. */
export interface LinuxMount extends Mount {
  /** Tells the kernel what has changed behind its back. */
  readonly notifier: FuseNotifier
  /** How many requests of each kind the kernel has made. */
  requestCounts(): Record<string, number>
}

/** Mounts. Resolves when the folder answers. @throws {MountError} */
export async function mountLinux(options: MountOptions): Promise<LinuxMount> {
  if (endianness() !== 'LE')
    throw new MountError('NO_ADDON', 'the linux driver needs a little-endian machine')
  const addon = loadFuseAddon()
  const directory = await mountPoint(options.directory)
  const { readOnly, allowOther } = options
  const kernel = await kernelMount(addon, { directory, readOnly, allowOther })
  const mount = new FuseMount(addon, { ...options, directory }, kernel)
  await mount.begin()
  return mount
}

/** The directory without symbolic links, which nothing may be mounted on. */
async function mountPoint(directory: string): Promise<string> {
  const path = await realpath(directory).catch((cause: unknown) => {
    const message = `${directory} is no directory that can be mounted on; create it first`
    throw new MountError('NOT_A_DIRECTORY', message, { cause })
  })
  if ((await mountAt(path)) !== undefined)
    throw new MountError('BUSY', `something is already mounted at ${path}; unmount it first`)
  if (!(await stat(path)).isDirectory())
    throw new MountError('NOT_A_DIRECTORY', `${path} is not a directory`)
  return path
}

class FuseMount implements LinuxMount {
  readonly directory: string
  readonly ended: Promise<void>
  readonly notifier: FuseNotifier
  readonly #vfs: Vfs
  readonly #caches: KernelCaches
  readonly #kernel: KernelMount
  readonly #device: FuseDevice
  readonly #session: FuseSession
  readonly #report: MountOptions['report']
  /** What the kernel calls the mounted file system; tells it from one mounted there later. */
  #deviceNumber: string | undefined
  #hasEnded = false

  constructor(addon: FuseAddon, options: MountOptions, kernel: KernelMount) {
    this.directory = options.directory
    this.#kernel = kernel
    this.#report = options.report
    const request = new Uint8Array(REQUEST_BUFFER_BYTES)
    const reply = new Uint8Array(REPLY_BUFFER_BYTES)
    const { onServed = () => undefined } = options
    const turn = (): void => {
      this.#session.turn()
      onServed()
    }
    const limits = [TURN_MICROSECONDS, TURN_REQUESTS, SPIN_MICROSECONDS] as const
    this.#device = new addon.FuseDevice(kernel.fd, request, reply, turn, ...limits)
    this.notifier = new FuseNotifier(this.#device)
    this.#vfs = options.vfs
    this.#caches = new KernelCaches({
      notifier: this.notifier,
      sizeOf: ino => fileSize(options.vfs, ino),
      isLocked: ino => this.#session.isLocked(ino),
      hasEpochs: () => this.#session.minor >= EPOCH_MINOR_MIN,
      after: (delayMs, callback) => {
        const timer = setTimer(callback, delayMs).unref()
        return { cancel: () => clearTimeout(timer) }
      }
    })
    let onEnd = (): void => undefined
    this.ended = new Promise<void>(resolve => (onEnd = resolve)).then(() => this.#end())
    this.#session = new FuseSession({
      vfs: options.vfs,
      channel: this.#device,
      request: new FuseRequest(request),
      reply: new FuseReply(reply),
      notifier: this.notifier,
      onUnlocked: ino => this.#caches.unlocked(ino),
      report: options.report,
      onEnd
    })
  }

  readonly isAsked = (): boolean => this.#device.isReadable() > 0

  requestCounts(): Record<string, number> {
    return this.#session.requestCounts()
  }

  /** Serves, and waits until the kernel has begun. */
  async begin(): Promise<void> {
    try {
      check(this.#device.start(), 'polling /dev/fuse')
      if (!(await isIn(this.#session.ready, INIT_MS_MAX)))
        throw new MountError('FAILED', `the kernel did not begin to use ${this.directory}`)
      check(
        this.#device.startNotifier(NOTIFICATIONS_MAX, NOTIFICATIONS_BYTES_MAX),
        'starting the notify thread'
      )
      this.#vfs.onChanged = changes => this.#caches.changed(changes)
      this.#deviceNumber = (await mountAt(this.directory))?.device
      if (this.#deviceNumber !== undefined) await raiseReadAhead(this.#deviceNumber)
    } catch (error) {
      await this.#kernel.unmount(true)
      this.#device.close()
      await this.#kernel.close()
      throw error
    }
  }

  async unmount({ lazy }: { readonly lazy: boolean }): Promise<void> {
    if (!this.#hasEnded) await this.#detach(lazy)
    const isDrained = await isIn(this.#session.drained(), UNMOUNT_MS_MAX)
    if (!isDrained) this.#report(`${this.directory}: unmounted with requests under way`, undefined)
    // A copy of the mount in another name space, or a lazy one's open files, keep it going.
    if (!lazy) await isIn(this.ended, UNMOUNT_MS_MAX)
  }

  async #detach(lazy: boolean): Promise<void> {
    const here = (await readMountTable()).filter(entry => entry.directory === this.directory)
    if (!here.some(entry => entry.device === this.#deviceNumber)) return
    if (here.at(-1)?.device !== this.#deviceNumber)
      throw new MountError('BUSY', `something else is mounted over ${this.directory}`)
    const result = await this.#kernel.unmount(lazy)
    if (result.errno === 0 || this.#hasEnded) return
    if (result.errno === errno.EBUSY) {
      const hint = 'close the programs that use it, or unmount it lazily'
      throw new MountError('BUSY', `${this.directory} is in use; ${hint} (${result.message})`)
    }
    throw new MountError('FAILED', `${this.directory}: ${result.message}`)
  }

  /** The kernel has let go. A mount whose connection was aborted is still in the table. */
  async #end(): Promise<void> {
    this.#hasEnded = true
    this.#vfs.onChanged = undefined
    this.#caches.close()
    this.#device.close()
    try {
      const left = await mountAt(this.directory)
      if (left !== undefined && left.device === this.#deviceNumber)
        await clearDeadMount(this.directory)
    } catch (error) {
      this.#report(`${this.directory}: clearing the mount that has ended`, error)
    }
    await this.#kernel.close()
  }
}

/** The size of a regular file; undefined of anything else and of what is gone. */
function fileSize(vfs: Vfs, ino: InodeNumber): number | undefined {
  try {
    const { mode, size } = vfs.getattr(ino)
    return (mode & S_IFMT) === S_IFREG ? size : undefined
  } catch (error) {
    if (error instanceof FsError) return undefined
    throw error
  }
}

/** Whether a promise settles in time. Its rejection is passed on. */
async function isIn(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = setTimeout(timeoutMs, false, { ref: false })
  return Promise.race([promise.then(() => true), late])
}

function check(result: number, what: string): void {
  if (result < 0) throw new MountError('FAILED', `${what} failed with errno ${-result}`)
}

/** The kernel reads ahead 128 KiB unless told otherwise, which only root may. */
async function raiseReadAhead(device: string): Promise<void> {
  const setting = `/sys/class/bdi/${device}/read_ahead_kb`
  await writeFile(setting, String(TRANSFER_BYTES_MAX / 1024)).catch(() => undefined)
}
