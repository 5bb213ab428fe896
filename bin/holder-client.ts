/**
 * The `grove host` command's side of a holder's socket.
 *
 * @module
 */
import { findSocket } from './find-socket.ts'
import { GroveError } from './grove-error.ts'
import type {
  HeldPerson,
  HolderCodeAnswer,
  HolderInviteRequest,
  HolderProcessStatus,
  NamePersonRequest
} from './holder-api.ts'
import type { HolderHome } from './holder-home.ts'
import type { HolderSettingsChange } from './holder-settings.ts'
import { askForJson } from './socket-request.ts'

/** A holder that can be asked. */
export class HolderClient {
  readonly #socket: string
  readonly #signal: AbortSignal

  private constructor(socket: string, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
  }

  /**
   * Looks for the process of a home.
   *
   * @param signal - gives up whatever is asked when aborted
   * @returns undefined when none is running
   * @throws {GroveError} `NO_ANSWER` when there is one that does not answer
   */
  static async find(home: HolderHome, signal: AbortSignal): Promise<HolderClient | undefined> {
    const socket = await findSocket(home, { signal, command: 'host' })
    return socket === undefined ? undefined : new HolderClient(socket, signal)
  }

  /** Finds the process of a home, which must be running. @throws {GroveError} `NOT_RUNNING` */
  static async require(home: HolderHome, signal: AbortSignal): Promise<HolderClient> {
    const client = await HolderClient.find(home, signal)
    if (client !== undefined) return client
    throw new GroveError(
      'NOT_RUNNING',
      'no holder is running for this home; run `grove host` first'
    )
  }

  /** `GET /v1/status` */
  async status(): Promise<HolderProcessStatus> {
    return (await this.#ask('GET', '/v1/status')) as HolderProcessStatus
  }

  /** `POST /v1/invite` */
  async invite(request: HolderInviteRequest): Promise<HolderCodeAnswer> {
    return (await this.#ask('POST', '/v1/invite', request)) as HolderCodeAnswer
  }

  /** `POST /v1/settings` */
  async change(change: HolderSettingsChange): Promise<HolderCodeAnswer> {
    return (await this.#ask('POST', '/v1/settings', change)) as HolderCodeAnswer
  }

  /** `POST /v1/person` */
  async namePerson(request: NamePersonRequest): Promise<HeldPerson> {
    return (await this.#ask('POST', '/v1/person', request)) as HeldPerson
  }

  /** `POST /v1/stop` */
  async stop(): Promise<void> {
    await this.#ask('POST', '/v1/stop')
  }

  #ask(method: string, path: string, body?: object): Promise<unknown> {
    const [socket, signal] = [this.#socket, this.#signal]
    return askForJson({ socket, signal, method, path, ...(body && { body }) })
  }
}
