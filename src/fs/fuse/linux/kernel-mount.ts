/**
 * Makes the kernel mount a directory and let go of it: directly as root, otherwise through
 * fusermount3, which with `auto_unmount` also unmounts when this process dies.
 *
 * @module
 */
import { Socket } from 'node:net'
import { constants } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { MountError } from '../mount.ts'
import { endOf, findFusermount, runFusermount, startFusermount } from '../fusermount.ts'
import { MOUNT_SOURCE, MOUNT_TYPE } from '../mount-table.ts'
import type { FuseAddon } from './fuse-device.ts'
import { TRANSFER_BYTES_MAX } from './fuse-protocol.ts'

const { errno } = constants

/** How long fusermount3 may take to hand over the descriptor, in milliseconds. */
export const MOUNT_MS_MAX = 10_000
/** How long a helper that watches over the mount may take to end after it, in milliseconds. */
export const HELPER_END_MS_MAX = 2000

/** Flags of mount(2). */
const MS_RDONLY = 1
const MS_NOSUID = 2
const MS_NODEV = 4
/** Flags of umount2(2). */
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

/** What to mount. */
export interface KernelMountOptions {
  /** Absolute path without symbolic links. */
  readonly directory: string
  /** Refuse writes. */
  readonly readOnly: boolean
  /** Let other users in. */
  readonly allowOther: boolean
}

/** A mount whose descriptor we hold. */
export interface KernelMount {
  /** The descriptor of /dev/fuse. */
  readonly fd: number
  /** Takes the mount away. @returns 0 or a negative errno; EBUSY when it is in use */
  unmount(lazy: boolean): Promise<{ readonly errno: number; readonly message: string }>
  /** After the mount has ended: lets go of what watched over it. Idempotent. */
  close(): Promise<void>
}

/** Mounts. @throws {MountError} */
export async function kernelMount(
  addon: FuseAddon,
  options: KernelMountOptions
): Promise<KernelMount> {
  const isRoot = process.geteuid?.() === 0
  return isRoot ? mountAsRoot(addon, options) : mountWithHelper(addon, options)
}

async function mountAsRoot(addon: FuseAddon, options: KernelMountOptions): Promise<KernelMount> {
  const fd = addon.openDevice()
  if (fd < 0) {
    const hint = 'load the module: modprobe fuse (in a container: --device /dev/fuse)'
    throw new MountError('NO_DEVICE', `/dev/fuse cannot be opened (errno ${-fd}); ${hint}`)
  }
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  const data = [
    `fd=${fd},rootmode=40000,user_id=${uid},group_id=${gid}`,
    `max_read=${TRANSFER_BYTES_MAX},default_permissions`,
    ...(options.allowOther ? ['allow_other'] : [])
  ].join(',')
  const flags = MS_NOSUID | MS_NODEV | (options.readOnly ? MS_RDONLY : 0)
  const mounted = await addon.mount(options.directory, MOUNT_TYPE, flags, data)
  if (mounted < 0) {
    addon.closeDescriptor(fd)
    throw mountFailure(options.directory, -mounted)
  }
  return {
    fd,
    unmount: async lazy => {
      const how = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)
      const code = -(await addon.unmount(options.directory, how))
      return { errno: code, message: `umount failed with errno ${code}` }
    },
    close: async () => undefined
  }
}

function mountFailure(directory: string, code: number): MountError {
  if (code === errno.EPERM) {
    const hint = 'in a container this needs --cap-add SYS_ADMIN and --device /dev/fuse'
    return new MountError('FAILED', `mounting ${directory} is not permitted; ${hint}`)
  }
  return new MountError('FAILED', `mounting ${directory} failed with errno ${code}`)
}

async function mountWithHelper(
  addon: FuseAddon,
  options: KernelMountOptions
): Promise<KernelMount> {
  const program = await findFusermount()
  if (program === undefined)
    throw new MountError('NO_HELPER', 'fusermount3 is missing: apt-get install fuse3')
  const sockets = addon.socketPair()
  if (typeof sockets === 'number')
    throw new MountError('FAILED', `no sockets for fusermount3 (errno ${-sockets})`)
  const [ours, theirs] = sockets
  const choices = [
    options.readOnly ? 'ro' : 'rw',
    'nosuid,nodev,default_permissions,auto_unmount',
    `fsname=${MOUNT_SOURCE},subtype=${MOUNT_SOURCE},max_read=${TRANSFER_BYTES_MAX}`,
    ...(options.allowOther ? ['allow_other'] : [])
  ]
  const child = startFusermount(program, ['-o', choices.join(','), '--', options.directory], theirs)
  addon.closeDescriptor(theirs)
  const ended = endOf(child)
  const fd = await addon.receiveDescriptor(ours, MOUNT_MS_MAX)
  if (fd < 0) {
    addon.closeDescriptor(ours)
    child.kill('SIGKILL')
    const { message } = await ended
    throw new MountError('FAILED', `${options.directory} cannot be mounted: ${message}`)
  }
  // With auto_unmount the helper lives as long as the mount; it must not keep us alive.
  child.unref()
  if (child.stderr instanceof Socket) child.stderr.unref()
  let isClosed = false
  return {
    fd,
    unmount: async lazy => {
      const { succeeded, message } = await runFusermount(program, [
        lazy ? '-uz' : '-u',
        '--',
        options.directory
      ])
      return { errno: succeeded ? 0 : errno.EBUSY, message }
    },
    close: async () => {
      if (isClosed) return
      isClosed = true
      addon.closeDescriptor(ours)
      // It must be gone before the directory is mounted anew: it would unmount that too.
      const late = new AbortController()
      const { signal } = late
      await Promise.race([
        ended,
        setTimeout(HELPER_END_MS_MAX, undefined, { signal }).catch(() => undefined)
      ])
      late.abort()
    }
  }
}
