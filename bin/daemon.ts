/**
 * The daemon: an open drive, its mount and its socket, from the first request to a clean end.
 *
 * Ending is one way, whoever asks (a signal, `grove stop`, a fault): no new requests, unmount,
 * make everything durable, remove the socket. The promise {@link Daemon.ended} settles when
 * that is done.
 *
 * @module
 */
import type {
  DaemonStatus,
  MountRequest,
  MountedStatus,
  SettingRequest,
  StopAnswer,
  UnmountAnswer,
  UnmountRequest,
  VerifyLine
} from './api.ts'
import { ApiServer, type ApiHandler } from './api-server.ts'
import type { DaemonLog } from './daemon-log.ts'
import { explainError } from './explain-error.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'
import { Mounts, type MountTools } from './mounts.ts'
import type { ServedDrive } from './served-drive.ts'
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
  #server: ApiServer | undefined
  #ending: Promise<string | undefined> | undefined
  #abandoning: Promise<void> | undefined
  #settleEnded: (problem: string | undefined) => void = () => undefined

  /** @param parts - see {@link DaemonParts} */
  constructor(parts: DaemonParts) {
    this.#parts = parts
    const { drive, tools, home, log } = parts
    this.mounts = new Mounts({ drive, tools, home: home.directory, log })
    this.ended = new Promise(resolve => {
      this.#settleEnded = resolve
    })
  }

  /** Answers requests from now on. The caller holds the home's lock. */
  async listen(socket: string): Promise<void> {
    this.#server = await ApiServer.listen(socket, this)
  }

  /** Answers `GET /v1/status`. */
  async status(): Promise<DaemonStatus> {
    return {
      running: true,
      pid: process.pid,
      home: this.#parts.home.directory,
      ...(await this.#parts.drive.status()),
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
    yield* this.#parts.drive.verify(signal)
    yield { kind: 'end' }
  }

  /** Answers `POST /v1/setting`. */
  async changeSetting(request: SettingRequest): Promise<object> {
    const change = { name: settingName(request.name), value: request.value }
    const settings = await writeSetting(this.#parts.home.settingsFile, change)
    this.#parts.drive.applySettings(settings)
    return settings
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

  async #abandon(): Promise<void> {
    const { drive, log } = this.#parts
    const synced = drive.sync().catch((error: unknown) => log.write('cannot save', error))
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
    const { drive, log } = this.#parts
    log.write(`ending: ${why}`)
    let problem: string | undefined
    for (const step of [() => this.mounts.end(), () => drive.close()]) {
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

  #refuseWhenEnding(): void {
    if (this.#ending !== undefined)
      throw new GroveError('FAILED', 'the daemon is ending; try again in a moment')
  }
}
