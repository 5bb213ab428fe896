/**
 * The fuse-native driver: libfuse 2.9 through the package of that name, the portable fallback
 * where the linux driver's native part cannot be built. It is path based and slower, cannot tell
 * the kernel of changes, and loses what `FUSE_NATIVE_EXCLUSIONS` of its tests lists.
 *
 * As with the linux driver, the process that serves a mount must not touch it synchronously.
 *
 * @module
 */
import { constants as fsConstants } from 'node:fs'
import { access, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type FuseNative from 'fuse-native'
import { findFusermount, runFusermount, type FusermountResult } from './fusermount.ts'
import { mountAt, MOUNT_SOURCE, readMountTable } from './mount-table.ts'
import { MountError, type Mount, type MountOptions } from './mount.ts'
import { NativeDispatch, UTIMENS_HANDLER, withBothTimes } from './native/native-dispatch.ts'
import { PathOperations } from './native/path-operations.ts'

/** How long the kernel may take to begin, in milliseconds. */
export const INIT_MS_MAX = 10_000
/** How long an unmount waits for what is under way, in milliseconds. */
export const UNMOUNT_MS_MAX = 10_000
/** How often it is looked whether the mount has ended, in milliseconds. */
export const END_POLL_MS = 500

const DEVICE = '/dev/fuse'
const DESCRIPTORS = '/proc/self/fd'
const UNMOUNT_POLL_MS = 10
/** dlopen(3): a library stays although the attempt to use it as an addon fails. */
const RTLD_NODELETE = 0x1000

type FuseClass = typeof FuseNative

const require = createRequire(import.meta.url)
/** One mount at a time, so that each can tell its own descriptor. */
let mounting: Promise<unknown> = Promise.resolve()

/** Mounts. Resolves when the folder answers. @throws {MountError} */
export async function mountFuseNative(options: MountOptions): Promise<Mount> {
  const fuseClass = loadFuseNative()
  await checkDevice()
  const directory = await mountPoint(options.directory)
  const mount = new NativeMount(fuseClass, { ...options, directory })
  const begun = mounting.then(async () => mount.begin())
  mounting = begun.catch(() => undefined)
  await begun
  return mount
}

function loadFuseNative(): FuseClass {
  try {
    return requireFuseNative()
  } catch (first) {
    try {
      preloadLibrary()
      return requireFuseNative()
    } catch {
      const hint = 'npm install fuse-native, and apt-get install libfuse2'
      const message = `the package fuse-native is not there or does not load: ${hint}`
      throw new MountError('NO_ADDON', message, { cause: first })
    }
  }
}

function requireFuseNative(): FuseClass {
  const fuseClass = require('fuse-native') as FuseClass
  // Unmounting is ours; what it would run detaches a mount that is in use.
  fuseClass.unmount = (_directory, callback) => callback(null)
  return fuseClass
}

/**
 * The package's addon needs libfuse.so.2 and does not say that it lies beside it. Where the
 * system has none, it finds the one that is loaded already.
 */
function preloadLibrary(): void {
  const platform = `${process.platform}-${process.arch}`
  const home = dirname(require.resolve('fuse-native/package.json'))
  const library = join(home, 'prebuilds', platform, 'libfuse.so')
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE)
  } catch {
    // It is no addon, which is an error; whether it was loaded shows in the next attempt.
  }
}

async function checkDevice(): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  // Others go through fusermount, which may open what they may not.
  const mode = isRoot ? fsConstants.R_OK | fsConstants.W_OK : fsConstants.F_OK
  await access(DEVICE, mode).catch((cause: unknown) => {
    const hint = 'load the module: modprobe fuse (in a container: --device /dev/fuse)'
    throw new MountError('NO_DEVICE', `${DEVICE} cannot be opened; ${hint}`, { cause })
  })
  if (!isRoot && (await findFusermount(undefined, ['fusermount'])) === undefined)
    throw new MountError('NO_HELPER', 'fusermount is missing: apt-get install fuse3')
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
  if ((await readdir(path)).length > 0)
    throw new MountError('FAILED', `${path} is not empty; choose an empty directory`)
  return path
}

class NativeMount implements Mount {
  readonly directory: string
  readonly ended: Promise<void>
  readonly #fuse: FuseNative
  readonly #operations: PathOperations
  readonly #dispatch: NativeDispatch
  readonly #options: MountOptions
  #onEnd: () => void = () => undefined
  /** What libfuse has of /dev/fuse; closed when the kernel has let go. */
  #descriptors: readonly string[] = []
  /** What the kernel calls the mounted file system; tells it from one mounted there later. */
  #deviceNumber: string | undefined
  #watch: NodeJS.Timeout | undefined
  #hasEnded = false

  constructor(fuseClass: FuseClass, options: MountOptions) {
    this.directory = options.directory
    this.#options = options
    const caller = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
    this.#operations = new PathOperations(options.vfs, caller, options.report)
    this.#dispatch = new NativeDispatch(this.#operations, options.report)
    this.ended = new Promise<void>(resolve => (this.#onEnd = resolve)).then(() => this.#end())

    const handlers = this.#dispatch.handlers()
    const names = Object.keys(handlers).map(name => [name.replace('_op_', ''), true])
    const implemented = Object.fromEntries(names) as Record<string, true>
    this.#fuse = new fuseClass(this.directory, implemented, { timeout: false })
    Object.assign(this.#fuse, handlers)
    this.#fuse._fuseOptions = () => `-o${libfuseOptions(options).join(',')}`
    const utimens = this.#fuse._handlers[UTIMENS_HANDLER]
    if (utimens !== undefined) this.#fuse._handlers[UTIMENS_HANDLER] = withBothTimes(utimens)
  }

  /** Mounts, and waits until the kernel has begun. */
  async begin(): Promise<void> {
    const others = await fuseDescriptors()
    const begun = new Promise<void>((resolve, reject) => {
      this.#fuse.mount(error => (error === null ? resolve() : reject(error)))
    })
    try {
      if (!(await isIn(begun, INIT_MS_MAX))) throw new Error('the kernel did not begin to use it')
      this.#descriptors = (await fuseDescriptors()).filter(name => !others.includes(name))
      if (this.#descriptors.length === 0) throw new Error('libfuse has no descriptor open')
    } catch (cause) {
      await this.#takeBack()
      const message = `${this.directory} cannot be mounted by libfuse; it has said why`
      throw new MountError('FAILED', message, { cause })
    }
    this.#deviceNumber = (await mountAt(this.directory))?.device
    this.#watch = setInterval(() => void this.#look(), END_POLL_MS).unref()
  }

  async unmount({ lazy }: { readonly lazy: boolean }): Promise<void> {
    this.#operations.settle()
    if (!this.#hasEnded) await this.#detach(lazy)
    if (!(await isIn(this.#dispatch.drained(), UNMOUNT_MS_MAX)))
      this.#options.report(`${this.directory}: unmounted with requests under way`, undefined)
    // A copy of the mount in another name space, or a lazy one's open files, keep it going.
    const deadline = lazy ? 0 : UNMOUNT_MS_MAX
    for (let waited = 0; waited <= deadline && !this.#hasEnded; waited += UNMOUNT_POLL_MS) {
      await this.#look()
      if (!this.#hasEnded) await setTimeout(UNMOUNT_POLL_MS)
    }
    if (this.#hasEnded) await this.ended
  }

  async #detach(lazy: boolean): Promise<void> {
    const here = (await readMountTable()).filter(entry => entry.directory === this.directory)
    if (!here.some(entry => entry.device === this.#deviceNumber)) return
    if (here.at(-1)?.device !== this.#deviceNumber)
      throw new MountError('BUSY', `something else is mounted over ${this.directory}`)
    const { succeeded, message } = await detach(this.directory, false)
    if (succeeded || this.#hasEnded) return
    if (!lazy) {
      const hint = 'close the programs that use it, or unmount it lazily'
      throw new MountError('BUSY', `${this.directory} is in use; ${hint} (${message})`)
    }
    await this.#options.vfs.syncfs().catch((error: unknown) => {
      this.#options.report(`${this.directory}: detached without a sync`, error)
    })
    const lazily = await detach(this.directory, true)
    if (!lazily.succeeded && !this.#hasEnded)
      throw new MountError('FAILED', `${this.directory}: ${lazily.message}`)
  }

  /** Undoes a mount that failed, which libfuse may have left in the table with nobody serving. */
  async #takeBack(): Promise<void> {
    const left = await mountAt(this.directory)
    if (left?.source === MOUNT_SOURCE) await detach(this.directory, true)
    await this.#letGo()
  }

  /** Whether the kernel has let go. libfuse does not say so, but then closes its descriptor. */
  async #look(): Promise<void> {
    const open = await fuseDescriptors()
    if (this.#hasEnded || this.#descriptors.some(name => open.includes(name))) return
    this.#hasEnded = true
    clearInterval(this.#watch)
    this.#onEnd()
  }

  async #end(): Promise<void> {
    await this.#letGo()
    try {
      await this.#operations.close()
      // A mount whose connection was aborted is still in the table.
      const left = await mountAt(this.directory)
      const isOurs = left !== undefined && left.device === this.#deviceNumber
      if (isOurs) await detach(this.directory, true)
    } catch (error) {
      this.#options.report(`${this.directory}: clearing up after the mount has ended`, error)
    }
  }

  /** Lets the process end. The object itself stays, because libfuse's last thread may use it. */
  async #letGo(): Promise<void> {
    return new Promise(resolve => this.#fuse._close(() => resolve()))
  }
}

/**
 * What libfuse is told. Nothing is cached beyond a call, because the kernel cannot be told of
 * changes. The `iconv` module turns each byte of a path into a character and back: fuse-native
 * reads paths as UTF-8, which would lose bytes that are none.
 */
function libfuseOptions(options: MountOptions): readonly string[] {
  return [
    `fsname=${MOUNT_SOURCE}`,
    `subtype=${MOUNT_SOURCE}`,
    options.readOnly ? 'ro' : 'rw',
    'default_permissions',
    ...(options.allowOther ? ['allow_other'] : []),
    'big_writes',
    'use_ino',
    'atomic_o_trunc',
    'entry_timeout=0',
    'attr_timeout=0',
    'negative_timeout=0',
    'modules=iconv',
    'from_code=UTF-8',
    'to_code=ISO-8859-1'
  ]
}

/** Takes a mount away, by a program that needs not look at it. */
async function detach(directory: string, lazy: boolean): Promise<FusermountResult> {
  const program = await findFusermount(undefined, ['fusermount3', 'fusermount'])
  if (program !== undefined) return runFusermount(program, [lazy ? '-uz' : '-u', '--', directory])
  if (process.geteuid?.() !== 0)
    throw new MountError('NO_HELPER', 'fusermount3 is missing: apt-get install fuse3')
  return runFusermount('umount', [...(lazy ? ['-l'] : []), directory])
}

/** The descriptors of this process that are the device, by their numbers. */
async function fuseDescriptors(): Promise<readonly string[]> {
  const names = await readdir(DESCRIPTORS)
  const targets = await Promise.all(
    names.map(async name => readlink(join(DESCRIPTORS, name)).catch(() => ''))
  )
  // In a container the directory before it may be another one.
  return names.filter((_, index) => targets[index]?.endsWith('/fuse') === true)
}

/** Whether a promise settles in time. Its rejection is passed on. */
async function isIn(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = setTimeout(timeoutMs, false, { ref: false })
  return Promise.race([promise.then(() => true), late])
}
