/**
 * The `grove` command's side of the daemon's socket.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import {
  ERROR_TRAILER,
  type CatRequest,
  type ConflictsAnswer,
  type DaemonStatus,
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
import { findSocket } from './find-socket.ts'
import { GroveError } from './grove-error.ts'
import type { Home } from './home.ts'
import type { Settings } from './settings.ts'
import {
  askForJson,
  noAnswer,
  readAnswer,
  refusal,
  sendRequest,
  type SocketRequest
} from './socket-request.ts'

/** A daemon that can be asked. */
export class ApiClient {
  readonly #socket: string
  readonly #signal: AbortSignal

  private constructor(socket: string, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
  }

  /**
   * Looks for the daemon of a home.
   *
   * @param signal - gives up whatever is asked when aborted
   * @returns undefined when none is running
   * @throws {GroveError} `NO_ANSWER` when there is one that does not answer
   */
  static async find(home: Home, signal: AbortSignal): Promise<ApiClient | undefined> {
    const socket = await findSocket(home, { signal })
    return socket === undefined ? undefined : new ApiClient(socket, signal)
  }

  /**
   * Finds the daemon of a home, which must be running.
   *
   * @throws {GroveError} `NOT_RUNNING`, `NO_ANSWER`
   */
  static async require(home: Home, signal: AbortSignal): Promise<ApiClient> {
    const client = await ApiClient.find(home, signal)
    if (client !== undefined) return client
    throw new GroveError(
      'NOT_RUNNING',
      'no daemon is running for this home; run `grove mount` first'
    )
  }

  /** `GET /v1/status` */
  async status(): Promise<DaemonStatus> {
    return (await this.#ask('GET', '/v1/status')) as DaemonStatus
  }

  /** `POST /v1/mount` */
  async mount(request: MountRequest): Promise<MountedStatus> {
    return (await this.#ask('POST', '/v1/mount', request)) as MountedStatus
  }

  /** `POST /v1/unmount` */
  async unmount(request: UnmountRequest): Promise<UnmountAnswer> {
    return (await this.#ask('POST', '/v1/unmount', request)) as UnmountAnswer
  }

  /** `POST /v1/setting` */
  async changeSetting(request: SettingRequest): Promise<Settings> {
    return (await this.#ask('POST', '/v1/setting', request)) as Settings
  }

  /** `POST /v1/stop` */
  async stop(): Promise<StopAnswer> {
    return (await this.#ask('POST', '/v1/stop')) as StopAnswer
  }

  /** `POST /v1/invite` */
  async invite(request: InviteRequest): Promise<InviteAnswer> {
    return (await this.#ask('POST', '/v1/invite', request)) as InviteAnswer
  }

  /** `GET /v1/devices` */
  async devices(): Promise<DevicesAnswer> {
    return (await this.#ask('GET', '/v1/devices')) as DevicesAnswer
  }

  /** `GET /v1/conflicts` */
  async conflicts(): Promise<ConflictsAnswer> {
    return (await this.#ask('GET', '/v1/conflicts')) as ConflictsAnswer
  }

  /** `POST /v1/resolve` */
  async resolve(request: ResolveRequest): Promise<ResolveAnswer> {
    return (await this.#ask('POST', '/v1/resolve', request)) as ResolveAnswer
  }

  /** `POST /v1/versions` */
  async versions(request: VersionsRequest): Promise<VersionsAnswer> {
    return (await this.#ask('POST', '/v1/versions', request)) as VersionsAnswer
  }

  /** `POST /v1/cat` @throws {GroveError} also in the middle, when the rest cannot be read */
  async *cat(request: CatRequest): AsyncGenerator<Uint8Array> {
    const response = await this.#send({ method: 'POST', path: '/v1/cat', body: request })
    if (response.statusCode !== 200) throw refusal(await readAnswer(response))
    try {
      yield* response as AsyncIterable<Uint8Array>
    } catch (error) {
      throw noAnswer(error)
    }
    const error = response.trailers[ERROR_TRAILER]
    if (error === undefined) return
    throw refusal({ error: JSON.parse(decodeURIComponent(error)) as unknown })
  }

  /** `POST /v1/verify` @throws {GroveError} also `NO_ANSWER` when the answer breaks off */
  async *verify(): AsyncGenerator<Exclude<VerifyLine, { readonly kind: 'error' }>> {
    yield* this.#lines<VerifyLine>('/v1/verify')
  }

  /** `POST /v1/sync` @throws {GroveError} also `NO_ANSWER` when the answer breaks off */
  async *catchUp(
    request: SyncRequest
  ): AsyncGenerator<Exclude<SyncLine, { readonly kind: 'error' }>> {
    yield* this.#lines<SyncLine>('/v1/sync', request)
  }

  /** `GET /v1/holders` */
  async holders(): Promise<HoldersAnswer> {
    return (await this.#ask('GET', '/v1/holders')) as HoldersAnswer
  }

  /** `POST /v1/holder-add` */
  async addHolder(request: HolderAddRequest): Promise<HolderStatus> {
    return (await this.#ask('POST', '/v1/holder-add', request)) as HolderStatus
  }

  /** `POST /v1/holder-remove` @throws {GroveError} also `NO_ANSWER` when the answer breaks off */
  async *removeHolder(
    request: HolderRemoveRequest
  ): AsyncGenerator<Exclude<HolderRemoveLine, { readonly kind: 'error' }>> {
    yield* this.#lines<HolderRemoveLine>('/v1/holder-remove', request)
  }

  /** `POST /v1/holder-keep` */
  async keepHolder(request: HolderKeepRequest): Promise<HolderStatus> {
    return (await this.#ask('POST', '/v1/holder-keep', request)) as HolderStatus
  }

  /** `POST /v1/holder-trim` */
  async trimHolders(request: TrimRequest): Promise<TrimAnswer> {
    return (await this.#ask('POST', '/v1/holder-trim', request)) as TrimAnswer
  }

  /** `POST /v1/own-holder` */
  async ownHolder(request: OwnHolderRequest): Promise<OwnDriveAnswer> {
    return (await this.#ask('POST', '/v1/own-holder', request)) as OwnDriveAnswer
  }

  /** `POST /v1/redundancy` */
  async redundancy(request: RedundancyRequest): Promise<RedundancyAnswer> {
    return (await this.#ask('POST', '/v1/redundancy', request)) as RedundancyAnswer
  }

  /** `POST /v1/explain` */
  async explain(request: ExplainRequest): Promise<ExplainAnswer> {
    return (await this.#ask('POST', '/v1/explain', request)) as ExplainAnswer
  }

  async *#lines<Line extends VerifyLine | SyncLine | HolderRemoveLine>(
    path: string,
    body?: object
  ): AsyncGenerator<Exclude<Line, { readonly kind: 'error' }>> {
    const response = await this.#send({ method: 'POST', path, ...(body && { body }) })
    if (response.statusCode !== 200) throw refusal(await readAnswer(response))
    const lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })
    for await (const text of lines) {
      const line = JSON.parse(text) as Line
      if (line.kind === 'error') throw new GroveError(line.error.code, line.error.message)
      yield line as Exclude<Line, { readonly kind: 'error' }>
      if (line.kind === 'end') return
    }
    throw new GroveError('NO_ANSWER', 'the daemon ended before it was done; see its log')
  }

  #ask(method: string, path: string, body?: object): Promise<unknown> {
    const [socket, signal] = [this.#socket, this.#signal]
    return askForJson({ socket, signal, method, path, ...(body && { body }) })
  }

  #send(options: Omit<SocketRequest, 'socket' | 'signal'>): Promise<IncomingMessage> {
    return sendRequest({ ...options, socket: this.#socket, signal: this.#signal })
  }
}
