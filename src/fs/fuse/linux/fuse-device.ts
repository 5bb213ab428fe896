/**
 * The native part of the driver, typed. `scripts/build-addon.mjs` compiles it; where there was
 * no compiler it is missing, and the fuse-native driver is used.
 *
 * Every function returns a result of at least 0, or a negative errno.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { MountError } from '../mount.ts'
import type { NotificationQueue } from './fuse-notifier.ts'
import type { FuseChannel } from './fuse-session.ts'

/** Where the compiled addon lies, from the package's root. */
export const ADDON_PATH = 'build/fuse-device.node'

/** An open /dev/fuse that belongs to a mount. */
export interface FuseDevice extends FuseChannel, NotificationQueue {
  /** Calls `onReadable` whenever requests are there. */
  start(): number
  /** @returns 1 if a request waits to be read or the mount has ended, 0 if not */
  isReadable(): number
  /** Starts the thread that notifications are sent from. */
  startNotifier(queuedMax: number, queuedBytesMax: number): number
  /** Stops and closes the descriptor, which ends the mount. Idempotent. */
  close(): void
}

/** What the addon exports. */
export interface FuseAddon {
  /** Takes a descriptor of a mount and the buffers of requests and replies. */
  readonly FuseDevice: new (
    fd: number,
    request: Uint8Array,
    reply: Uint8Array,
    onReadable: () => void,
    turnMicroseconds: number,
    turnRequests: number,
    spinMicroseconds: number
  ) => FuseDevice
  /** Opens /dev/fuse. */
  openDevice(): number
  /** mount(2), on a thread: serving may be needed before it returns. */
  mount(directory: string, type: string, flags: number, options: string): Promise<number>
  /** umount2(2), on a thread: the kernel asks us to flush before it returns. */
  unmount(directory: string, flags: number): Promise<number>
  /** Two connected sockets. */
  socketPair(): readonly [number, number] | number
  /** Receives the descriptor that fusermount3 sends. */
  receiveDescriptor(socket: number, timeoutMs: number): Promise<number>
  /** close(2). */
  closeDescriptor(fd: number): number
}

/** Finds and loads the addon. @throws {MountError} `NO_ADDON` */
export function loadFuseAddon(): FuseAddon {
  const path = findAddon(import.meta.dirname)
  if (path === undefined) {
    const hint = 'apt-get install build-essential, then npm run build'
    throw new MountError('NO_ADDON', `the linux driver's native part is not built: ${hint}`)
  }
  try {
    return createRequire(import.meta.url)(path) as FuseAddon
  } catch (cause) {
    const message = `the linux driver's native part does not load; build it again: npm run build`
    throw new MountError('NO_ADDON', message, { cause })
  }
}

/** Looks from here up to the package's root, whether this file is compiled or not. */
function findAddon(from: string): string | undefined {
  const path = join(from, ADDON_PATH)
  if (existsSync(join(from, 'package.json')) && existsSync(path)) return path
  const parent = dirname(from)
  return parent === from ? undefined : findAddon(parent)
}
