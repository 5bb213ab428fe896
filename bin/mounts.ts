/**
 * The folder that a daemon serves its drive in: at most one at a time, since each mount has
 * caches in the kernel that only its own file system keeps true.
 *
 * Calls that mount and unmount run one after another.
 *
 * @module
 */
import type { Mount, MountDriver } from '../src/fs/fuse/mount.ts'
import type { DeadMountResult } from '../src/fs/fuse/clear-dead-mount.ts'
import { MountError } from '../src/fs/fuse/mount.ts'
import type { MountRequest, MountedStatus } from './api.ts'
import type { DaemonLog } from './daemon-log.ts'
import { GroveError } from './grove-error.ts'
import { occupiedError } from './occupied-error.ts'
import { prepareMountDirectory } from './mount-directory.ts'
import { resolveOutsideMounts } from './resolve-outside-mounts.ts'
import type { ServedDrive, ServedVfs } from './served-drive.ts'

/** How long an unmounted folder that programs still use is served on, in milliseconds. */
export const LINGER_MS_MAX = 2_000

/** The drivers, and what clears away the mount of a daemon that died. */
export interface MountTools {
  /** The default on Linux. */
  readonly linux: MountDriver
  /** The fallback. */
  readonly fuseNative: MountDriver
  /** Removes a mount whose daemon is dead, and says what it found. */
  readonly clearDeadMount: (directory: string) => Promise<DeadMountResult>
}

/** What mounts need of a drive. */
export type MountedDrive = Pick<ServedDrive, 'openVfs' | 'sync'>

interface Mounted {
  readonly request: MountRequest
  readonly mount: Mount
  readonly files: ServedVfs
  readonly status: MountedStatus
}

/** Mounts and unmounts one drive. */
export class Mounts {
  readonly #drive: MountedDrive
  readonly #tools: MountTools
  readonly #home: string
  readonly #log: DaemonLog
  #mounted: Mounted | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** Called when a folder was unmounted by somebody else, as with `umount`. */
  onUnmountedElsewhere: (() => void) | undefined

  /** @param options.home - the home's folder, which may not be hidden by a mount */
  constructor(options: {
    readonly drive: MountedDrive
    readonly tools: MountTools
    readonly home: string
    readonly log: DaemonLog
  }) {
    this.#drive = options.drive
    this.#tools = options.tools
    this.#home = options.home
    this.#log = options.log
  }

  /** What is mounted. */
  get list(): readonly MountedStatus[] {
    return this.#mounted === undefined ? [] : [this.#mounted.status]
  }

  /** What was asked for that is mounted, so that it can be asked for again. */
  get request(): MountRequest | undefined {
    return this.#mounted?.request
  }

  /** How many files and directories are open. */
  get openFiles(): number {
    return this.#mounted?.files.openFiles ?? 0
  }

  /**
   * Mounts; resolves when the folder answers. The same folder again is no error.
   *
   * @throws {GroveError} `BUSY` when the drive is mounted elsewhere, `BAD_DIRECTORY`;
   *   {MountError} from the driver
   */
  mount(request: MountRequest): Promise<MountedStatus> {
    return this.#inTurn(() => this.#mount(request))
  }

  /**
   * Unmounts.
   *
   * @param options.directory - refused unless it is what is mounted; absent for any
   * @returns what was unmounted, if anything was
   * @throws {GroveError} `BAD_DIRECTORY`, `BUSY`
   */
  unmount(options: {
    readonly directory?: string
    readonly lazy: boolean
  }): Promise<string | undefined> {
    return this.#inTurn(() => this.#unmount(options))
  }

  /** Unmounts at the end of the daemon: properly if possible, else lazily. Never throws. */
  end(): Promise<void> {
    return this.#inTurn(async () => {
      const mounted = this.#mounted
      if (mounted === undefined) return
      try {
        await mounted.mount.unmount({ lazy: false })
      } catch (error) {
        this.#log.write('the folder is in use; detaching it', error)
        await this.#detach(mounted)
      }
      await this.#letGo(mounted)
    })
  }

  async #mount(request: MountRequest): Promise<MountedStatus> {
    if (this.#mounted !== undefined) return this.#alreadyMounted(this.#mounted, request)
    const { path, mounted } = await prepareMountDirectory(request.directory, this.#home)
    if (mounted) await this.#clear(path)
    const { readOnly, allowOther } = request
    const files = await this.#drive.openVfs({ readOnly })
    try {
      const report = (message: string, cause: unknown): void => this.#log.write(message, cause)
      const { vfs, onServed } = files
      const options = { vfs, directory: path, readOnly, allowOther, report, onServed }
      const { mount, driver, notice } = await this.#run(request.driver, options)
      files.onMounted(mount)
      const status = { directory: path, driver, readOnly }
      this.#mounted = { mount, files, status, request: { ...request, directory: path } }
      this.#watch(this.#mounted)
      this.#log.write(`mounted with ${driver}${readOnly ? ', read-only' : ''}`)
      return { ...status, ...(notice !== undefined && { notice }) }
    } catch (error) {
      await files.close()
      throw error
    }
  }

  async #alreadyMounted({ status }: Mounted, { directory }: MountRequest): Promise<MountedStatus> {
    const { path } = await resolveOutsideMounts(directory)
    if (status.directory === path) return { ...status, already: true }
    throw new GroveError(
      'BUSY',
      `this drive is already mounted at ${status.directory} by process ${process.pid}; run \`grove unmount\` first`
    )
  }

  async #clear(path: string): Promise<void> {
    const found = await this.#tools.clearDeadMount(path)
    if (found === 'live' || found === 'unresponsive') throw occupiedError(path, found)
    this.#log.write('cleared the mount of a daemon that died')
    await prepareMountDirectory(path, this.#home)
  }

  async #run(
    choice: MountRequest['driver'],
    options: Parameters<MountDriver>[0]
  ): Promise<{ mount: Mount; driver: MountedStatus['driver']; notice?: string }> {
    const { linux, fuseNative } = this.#tools
    if (choice === 'fuse-native') return { mount: await fuseNative(options), driver: choice }
    try {
      return { mount: await linux(options), driver: 'linux' }
    } catch (error) {
      const missing = error instanceof MountError && error.code === 'NO_ADDON'
      if (choice === 'linux' || !missing) throw error
      const mount = await fuseNative(options)
      const notice = `using the slower driver fuse-native: ${error.message}`
      return { mount, driver: 'fuse-native', notice }
    }
  }

  async #unmount(options: {
    readonly directory?: string
    readonly lazy: boolean
  }): Promise<string | undefined> {
    const mounted = this.#mounted
    if (mounted === undefined) return undefined
    const { directory } = mounted.status
    if (options.directory !== undefined && options.directory !== directory)
      throw new GroveError(
        'BAD_DIRECTORY',
        `the drive is not mounted at ${options.directory} but at ${directory}`
      )
    try {
      await mounted.mount.unmount({ lazy: false })
    } catch (error) {
      const busy = error instanceof MountError && error.code === 'BUSY'
      if (!busy || !options.lazy) throw busy ? busyError(directory, error) : error
      await this.#detach(mounted)
    }
    await this.#letGo(mounted)
    return directory
  }

  /** Everything written so far is made safe first: programs may be killed from here on. */
  async #detach(mounted: Mounted): Promise<void> {
    await this.#drive.sync().catch((error: unknown) => this.#log.write('sync failed', error))
    await mounted.mount
      .unmount({ lazy: true })
      .catch((error: unknown) => this.#log.write('cannot detach the folder', error))
    let timer: NodeJS.Timeout | undefined
    const linger = new Promise<void>(resolve => {
      timer = setTimeout(resolve, LINGER_MS_MAX)
    })
    await Promise.race([mounted.mount.ended, linger])
    clearTimeout(timer)
  }

  async #letGo(mounted: Mounted): Promise<void> {
    if (this.#mounted === mounted) this.#mounted = undefined
    try {
      await mounted.files.close()
      this.#log.write('unmounted')
    } catch (error) {
      this.#log.write('the last writes could not be recorded', error)
      throw error
    }
  }

  #watch(mounted: Mounted): void {
    void mounted.mount.ended
      .catch((error: unknown) => this.#log.write('the mount broke off', error))
      .then(() =>
        this.#inTurn(async () => {
          if (this.#mounted !== mounted) return
          this.#log.write('the folder was unmounted by somebody else')
          await this.#letGo(mounted).catch(() => undefined)
          this.onUnmountedElsewhere?.()
        })
      )
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

function busyError(directory: string, cause: unknown): GroveError {
  return new GroveError(
    'BUSY',
    `programs use files in ${directory}; close them and try again, or add --lazy`,
    { cause }
  )
}
