/**
 * The daemon: an open drive, its mount and its socket, from the first request to a clean end.
 *
 * Ending is one way, whoever asks (a signal, `grove stop`, a fault): no new requests, unmount,
 * make everything durable, remove the socket. The promise {@link Daemon.ended} settles when
 * that is done.
 *
 * @module
 */
import {
  CONFLICTS_LISTED_MAX,
  VERSIONS_LISTED_MAX,
  type CatRequest,
  type ConflictStatus,
  type ConflictsAnswer,
  type DaemonStatus,
  type DriveStatus,
  type DevicesAnswer,
  type InviteAnswer,
  type InviteRequest,
  type MountRequest,
  type MountedStatus,
  type ResolveAnswer,
  type ResolveRequest,
  type SettingRequest,
  type StopAnswer,
  type SyncLine,
  type SyncRequest,
  type UnmountAnswer,
  type UnmountRequest,
  type VerifyLine,
  type VersionsAnswer,
  type VersionsRequest
} from './api.ts'
import { ApiServer, type ApiHandler } from './api-server.ts'
import type {
  ExplainAnswer,
  ExplainRequest,
  HolderAddRequest,
  HolderKeepRequest,
  HolderRemoveLine,
  HolderRemoveRequest,
  HoldersAnswer,
  HolderStatus,
  OwnDriveAnswer,
  OwnHolderRequest,
  RedundancyAnswer,
  RedundancyRequest,
  TrimAnswer,
  TrimRequest
} from './custody-api.ts'
import type { DaemonLog } from './daemon-log.ts'
import { drivePath } from './drive-path.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'
import { Mounts, type MountTools, type MountedDrive } from './mounts.ts'
import type { NetworkOptions } from './network-environment.ts'
import type { DrivePath, ServedDrive } from './served-drive.ts'
import { settingName, writeSetting } from './settings.ts'

/** How long the end may take before the process gives up, in milliseconds. */
export const END_MS_MAX = 30_000
/** How long saving may take after a fault, in milliseconds. */
export const ABANDON_SYNC_MS_MAX = 5_000
/** How long an answer under way may take once everything is safe, in milliseconds. */
export const ANSWER_GRACE_MS = 500

/** What a daemon is made of; it owns all of it from then on. */
export interface DaemonParts {
  /** The home it serves. */
  readonly home: Home
  /** The open drive. */
  readonly drive: ServedDrive
  /** Opens the drive anew, once it was closed, in a new log epoch. */
  readonly renewDrive: () => Promise<ServedDrive>
  /** How to mount. */
  readonly tools: MountTools
  /** Where it writes what happened. */
  readonly log: DaemonLog
}

/** A running daemon. */
export class Daemon implements ApiHandler {
  /** What is mounted. */
  readonly mounts: Mounts
  /** Settles when the daemon is done: with what could not be done, if anything. */
  readonly ended: Promise<string | undefined>
  readonly #parts: DaemonParts
  #drive: ServedDrive
  #network: NetworkOptions | undefined
  #server: ApiServer | undefined
  #ending: Promise<string | undefined> | undefined
  #abandoning: Promise<void> | undefined
  #renewing: Promise<void> | undefined
  #settleEnded: (problem: string | undefined) => void = () => undefined

  /** @param parts - see {@link DaemonParts} */
  constructor(parts: DaemonParts) {
    this.#parts = parts
    const { tools, home, log } = parts
    this.#drive = parts.drive
    const drive: MountedDrive = {
      openVfs: options => this.#drive.openVfs(options),
      sync: () => this.#drive.sync()
    }
    this.mounts = new Mounts({ drive, tools, home: home.directory, log })
    this.ended = new Promise(resolve => {
      this.#settleEnded = resolve
    })
  }

  /** Answers requests from now on. The caller holds the home's lock. */
  async listen(socket: string): Promise<void> {
    this.#server = await ApiServer.listen(socket, this)
  }

  /** Looks for the other devices from now on. Waits for nothing. */
  connect(network: NetworkOptions): void {
    this.#network = network
    this.#drive.connect({ network, onOutrun: () => void this.renew() })
  }

  /**
   * Closes the drive and opens it anew in a new log epoch, because another device knows more of
   * its logs than it does itself. The folder is gone for a moment. When that fails the daemon
   * ends. Never throws. Idempotent.
   */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  /** Answers `GET /v1/status`. */
  async status(): Promise<DaemonStatus> {
    return {
      running: true,
      pid: process.pid,
      home: this.#parts.home.directory,
      ...(await this.#driveStatus()),
      mounts: this.mounts.list,
      openFiles: this.mounts.openFiles
    }
  }

  /** Answers `POST /v1/mount`. */
  async mount(request: MountRequest): Promise<MountedStatus> {
    this.#refuseWhenEnding()
    return this.mounts.mount(request)
  }

  /** Answers `POST /v1/unmount`. */
  async unmount(request: UnmountRequest): Promise<UnmountAnswer> {
    const directory = await this.mounts.unmount(request)
    return { directories: directory === undefined ? [] : [directory] }
  }

  /** Answers `POST /v1/verify`. */
  async *verify(signal: AbortSignal): AsyncGenerator<VerifyLine> {
    this.#refuseWhenEnding()
    yield* this.#drive.verify(signal)
    yield { kind: 'end' }
  }

  /** Answers `POST /v1/setting`. */
  async changeSetting(request: SettingRequest): Promise<object> {
    const change = { name: settingName(request.name), value: request.value }
    const settings = await writeSetting(this.#parts.home.settingsFile, change)
    this.#drive.applySettings(settings)
    return settings
  }

  /** Answers `POST /v1/invite`. */
  async invite(request: InviteRequest): Promise<InviteAnswer> {
    this.#refuseWhenEnding()
    return this.#drive.invite(request)
  }

  /** Answers `GET /v1/devices`. */
  async devices(): Promise<DevicesAnswer> {
    return { devices: await this.#drive.devices() }
  }

  /** Answers `GET /v1/conflicts`. */
  conflicts(): Promise<ConflictsAnswer> {
    const conflicts: ConflictStatus[] = []
    let count = 0
    for (const conflict of this.#drive.conflicts())
      if (count++ < CONFLICTS_LISTED_MAX) conflicts.push(conflict)
    const [mounted] = this.mounts.list
    return Promise.resolve({
      ...(mounted && { directory: mounted.directory }),
      count,
      conflicts
    })
  }

  /** Answers `POST /v1/resolve`. */
  async resolve({ path, keep }: ResolveRequest): Promise<ResolveAnswer> {
    this.#refuseWhenEnding()
    return { kept: await this.#drive.resolveConflict(this.#drivePath(path), keep) }
  }

  /** Answers `POST /v1/versions`. */
  async versions({ path }: VersionsRequest): Promise<VersionsAnswer> {
    const versions = await this.#drive.versions(this.#drivePath(path))
    return { count: versions.length, versions: versions.slice(-VERSIONS_LISTED_MAX) }
  }

  /** Answers `POST /v1/cat`. */
  async *cat({ path, version }: CatRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* this.#drive.cat(this.#drivePath(path), version, signal)
  }

  /** Answers `POST /v1/sync`. */
  async *catchUp({ wait }: SyncRequest, signal: AbortSignal): AsyncGenerator<SyncLine> {
    this.#refuseWhenEnding()
    const drive = this.#drive
    await drive.sync()
    if (wait) for await (const status of drive.catchUp(signal)) yield { kind: 'progress', status }
    yield { kind: 'end', status: await drive.syncStatus() }
  }

  /** Answers `GET /v1/holders`. */
  async holders(): Promise<HoldersAnswer> {
    return { holders: await this.#drive.holders() }
  }

  /** Answers `POST /v1/holder-add`. */
  async addHolder(request: HolderAddRequest): Promise<HolderStatus> {
    this.#refuseWhenEnding()
    return this.#drive.addHolder(request)
  }

  /** Answers `POST /v1/holder-remove`. */
  async *removeHolder(
    request: HolderRemoveRequest,
    signal: AbortSignal
  ): AsyncGenerator<HolderRemoveLine> {
    this.#refuseWhenEnding()
    yield* this.#drive.removeHolder(request, signal)
  }

  /** Answers `POST /v1/holder-keep`. */
  async keepHolder({ holder }: HolderKeepRequest): Promise<HolderStatus> {
    this.#refuseWhenEnding()
    return this.#drive.keepHolder(holder)
  }

  /** Answers `POST /v1/holder-trim`. */
  async trimHolders(request: TrimRequest): Promise<TrimAnswer> {
    this.#refuseWhenEnding()
    return this.#drive.trimHolders(request)
  }

  /** Answers `POST /v1/own-holder`. */
  async ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer> {
    return this.#drive.ownHolder(request)
  }

  /** Answers `POST /v1/redundancy`. */
  async redundancy({ path, level }: RedundancyRequest): Promise<RedundancyAnswer> {
    if (level !== undefined) this.#refuseWhenEnding()
    return this.#drive.redundancy(this.#drivePath(path), level)
  }

  /** Answers `POST /v1/explain`. */
  async explain({ path }: ExplainRequest): Promise<ExplainAnswer> {
    return this.#drive.explain(this.#drivePath(path))
  }

  /** Answers `POST /v1/stop`. */
  async stop(): Promise<StopAnswer> {
    const problem = await this.end('asked to stop')
    return { pid: process.pid, ...(problem !== undefined && { problem }) }
  }

  /**
   * Ends the daemon. Idempotent: later callers wait for the first.
   *
   * @param why - for the log
   * @returns what could not be done, in one line; undefined when all is safe
   */
  end(why: string): Promise<string | undefined> {
    this.#ending ??= this.#end(why)
    return this.#ending
  }

  /**
   * Ends after a fault: saves what can be saved and unmounts, but trusts nothing enough to call
   * it a clean end. Never throws. Idempotent.
   */
  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon()
    return this.#abandoning
  }

  /** A drive that is closed to be opened anew has nothing to say; the new one has. */
  async #driveStatus(): Promise<DriveStatus> {
    try {
      return await this.#drive.status()
    } catch (error) {
      if (this.#renewing === undefined) throw error
      await this.#renewing
      return this.#drive.status()
    }
  }

  async #renew(): Promise<void> {
    if (this.#ending !== undefined) return
    const { log, renewDrive } = this.#parts
    log.write('another device knows more of a log of this one; going on in new logs')
    const { request } = this.mounts
    try {
      await this.mounts.end()
      // What could not be appended any more is lost, as in a crash; the rest was recorded.
      await this.#drive.close().catch((error: unknown) => log.write('closed in part', error))
      this.#drive = await renewDrive()
      if (request !== undefined) await this.mounts.mount(request)
      if (this.#network !== undefined) this.connect(this.#network)
    } catch (error) {
      log.write('could not go on in new logs', error)
      queueMicrotask(() => void this.end('new logs could not be started; run grove mount'))
    }
  }

  async #abandon(): Promise<void> {
    const { log } = this.#parts
    const synced = this.#drive.sync().catch((error: unknown) => log.write('cannot save', error))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, ABANDON_SYNC_MS_MAX)
    })
    await Promise.race([synced, late])
    clearTimeout(timer)
    await this.mounts.end().catch((error: unknown) => log.write('cannot unmount', error))
    await this.#server?.close(0)
  }

  async #end(why: string): Promise<string | undefined> {
    const { log } = this.#parts
    await this.#renewing
    log.write(`ending: ${why}`)
    let problem: string | undefined
    for (const step of [() => this.mounts.end(), () => this.#drive.close()]) {
      try {
        await step()
      } catch (error) {
        log.write('could not end cleanly', error)
        problem ??= explainError(error).message
      }
    }
    // The answer to a request to stop is still on its way and must not be waited for here.
    void this.#closeServer(problem)
    return problem
  }

  async #closeServer(problem: string | undefined): Promise<void> {
    await this.#server?.close(ANSWER_GRACE_MS)
    this.#parts.log.write('ended')
    this.#settleEnded(problem)
  }

  #drivePath(path: string): DrivePath {
    return drivePath(path, this.mounts.list[0]?.directory)
  }

  #refuseWhenEnding(): void {
    if (this.#ending !== undefined)
      throw new GroveError('FAILED', 'the daemon is ending; try again in a moment')
  }
}
